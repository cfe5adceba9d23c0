import numpy as np
import pytest
import torch
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import SamplingOptions
from kd_uncertainty.language.sampling import draw_tokens, gumbel_noise, logits_processors, token_statistics

pytest.importorskip("transformers", reason="needs the extra [language]")

CPU = torch.device("cpu")
LOGITS = torch.tensor([1.0, -2.0, 0.5, 3.0, 2.5, -torch.inf, 0.0])
LEVEL = 1e-3
"""Of the tests of a distribution; seeds are fixed, so that they pass always or never."""


def test_noise_is_standard_gumbel_and_each_value_a_function_of_its_own_seed_position_and_token():
    seeds, tokens = torch.arange(50)[:, None], torch.arange(100)
    noise = gumbel_noise(seeds, 3, tokens)

    assert stats.kstest(noise.flatten().numpy(), "gumbel_r").pvalue > LEVEL
    assert gumbel_noise(torch.tensor([7]), 3, torch.tensor([41])).item() == noise[7, 41].item()
    others = gumbel_noise(seeds, 4, tokens), gumbel_noise(seeds + 50, 3, tokens), gumbel_noise(seeds, 3, tokens + 100)
    for other in others:
        assert abs(np.corrcoef(noise.flatten(), other.flatten())[0, 1]) < 4 / np.sqrt(noise.numel())


def test_tokens_are_drawn_with_the_probabilities_of_the_softmax():
    draws = 20_000
    tokens = draw_tokens(LOGITS.expand(draws, -1), torch.arange(draws), position=1)

    counts = np.bincount(tokens, minlength=len(LOGITS))
    expected = draws * LOGITS.double().softmax(-1).numpy()
    possible = expected > 0
    assert counts[~possible].sum() == 0
    assert stats.chisquare(counts[possible], expected[possible]).pvalue > LEVEL


def test_what_is_cut_off_does_not_change_which_of_the_others_is_drawn():
    seeds = torch.arange(500)
    everything = draw_tokens(LOGITS.expand(500, -1), seeds, 0)
    kept = draw_tokens(LOGITS.where(LOGITS >= 2.0, -torch.inf).expand(500, -1), seeds, 0)

    assert set(kept.tolist()) == {3, 4}
    same = torch.isin(everything, torch.tensor([3, 4]))
    assert same.any()
    assert torch.equal(kept[same], everything[same])


def test_logits_that_are_not_numbers_are_refused():
    with pytest.raises(UserError, match="not numbers"):
        draw_tokens(torch.stack([LOGITS, torch.full_like(LOGITS, torch.nan)]), torch.arange(2), 0)


def test_processors_are_repetition_temperature_top_k_and_top_p_in_this_order():
    options = SamplingOptions(temperature=0.5, top_k=3, top_p=0.8, repetition_penalty=2.0)
    logits = torch.tensor([[1.0, -2.0, 0.5, 3.0, 2.5]])
    said = torch.tensor([[3, 1]])

    # repeated: 3.0 / 2 and -2.0 * 2; halved temperature; tokens 0, 3, 4 are kept with logits 2, 3, 5
    kept = np.exp([2.0, 3.0, 5.0]) / np.exp([2.0, 3.0, 5.0]).sum()
    assert kept[2] > 0.8
    processed = logits_processors(options, CPU)(said, logits.clone())
    assert torch.equal(processed, torch.tensor([[-torch.inf, -torch.inf, -torch.inf, -torch.inf, 5.0]]))
    wider = logits_processors(options.model_copy(update={"top_p": 0.9}), CPU)(said, logits.clone())
    assert torch.equal(wider, torch.tensor([[-torch.inf, -torch.inf, -torch.inf, 3.0, 5.0]]))
    neutral = SamplingOptions(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0)
    assert len(logits_processors(neutral, CPU)) == 0


def test_statistics_are_those_of_the_full_softmax():
    logits = torch.randn(70, 40, generator=torch.Generator().manual_seed(0)) * 3
    logits[:, -2:] = -torch.inf
    tokens = torch.arange(70) % 38
    found = token_statistics(logits, tokens, 5)

    probabilities = np.exp(logits.double().numpy())
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    order = np.argsort(-probabilities, axis=1)
    np.testing.assert_allclose(found.log_probs, np.log(probabilities[range(70), tokens]), atol=1e-5)
    np.testing.assert_allclose(found.entropy, stats.entropy(probabilities, axis=1), atol=1e-5)
    np.testing.assert_array_equal(found.top_ids, order[:, :5])
    np.testing.assert_allclose(found.top_log_probs.exp(), np.take_along_axis(probabilities, order[:, :5], 1), atol=1e-6)
    np.testing.assert_allclose(found.tail_mass, np.take_along_axis(probabilities, order[:, 5:], 1).sum(1), atol=1e-6)


@pytest.mark.parametrize(("top", "kept", "tail"), [(None, 0, 1.0), (9, 7, 0.0)])
def test_nothing_or_the_whole_vocabulary_can_be_kept(top, kept, tail):
    found = token_statistics(LOGITS[None], torch.tensor([3]), top)
    assert found.top_ids.shape == (1, kept)
    assert found.tail_mass.item() == pytest.approx(tail, abs=1e-6)
