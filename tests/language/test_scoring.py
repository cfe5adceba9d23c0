import numpy as np
import pytest
import torch
from scipy import stats

from kd_uncertainty.language import scoring
from kd_uncertainty.language.generation import encode, sample_answers
from kd_uncertainty.language.options import SamplingOptions
from kd_uncertainty.language.scoring import score

pytest.importorskip("transformers", reason="needs the extra [language]")

from tests.language.small_models import small_model, small_tokenizer

PROMPTS = [[0, 1, 2], [3], [4, 0], [0, 1, 2], [0, 1, 2], [1, 1, 1], [3]]
ANSWERS = [[1, 6], [2, 2, 5], [6], [1, 6], [1, 0, 0, 4], [3], [2]]
TOP = 3


@pytest.fixture(scope="module")
def model():
    return small_model(torch.float32)


def check_against_steps(model, scored):
    for prompt, answer, found in zip(PROMPTS, ANSWERS, scored, strict=True):
        for place, token in enumerate(answer):
            tokens = torch.tensor([prompt + answer[:place]])
            probabilities = model(input_ids=tokens, use_cache=False).logits[0, -1].double().softmax(-1).numpy()
            order = np.argsort(-probabilities)
            assert found.log_probs[place] == pytest.approx(np.log(probabilities[token]), abs=1e-4)
            assert found.entropy[place] == pytest.approx(stats.entropy(probabilities), abs=1e-4)
            assert found.top_ids[place].tolist() == order[:TOP].tolist()
            np.testing.assert_allclose(found.top_log_probs[place], np.log(probabilities[order[:TOP]]), atol=1e-4)
            assert found.tail_mass[place] == pytest.approx(probabilities[order[TOP:]].sum(), abs=1e-5)
        assert len(found.log_probs) == len(answer)


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_scores_are_those_of_a_pass_over_every_beginning(model, batch_size):
    check_against_steps(model, score(model, PROMPTS, ANSWERS, batch_size=batch_size, top_log_probs=TOP))


def test_a_model_without_a_cache_gives_the_same(model, monkeypatch):
    monkeypatch.setattr(scoring, "prefix_cache", lambda *_: None)
    check_against_steps(model, score(model, PROMPTS, ANSWERS, batch_size=64, top_log_probs=TOP))


def test_equal_answers_to_equal_prompts_are_scored_once_and_few_positions_at_a_time(model, monkeypatch):
    batches, original = [], scoring._score_batch

    def counting(model, batch, top):
        batches.append(batch)
        return original(model, batch, top)

    monkeypatch.setattr(scoring, "_score_batch", counting)
    monkeypatch.setattr(scoring, "_MOST_POSITIONS", 6)
    check_against_steps(model, score(model, PROMPTS, ANSWERS, batch_size=64, top_log_probs=TOP))
    assert sum(map(len, batches)) == 6
    assert all(len(batch) * max(len(answer) for _, answer in batch) <= 6 for batch in batches)


def test_scores_of_sampled_answers_are_those_of_sampling(model):
    tokenizer, prompts = small_tokenizer(), ["abc", "d", "eda"]
    sampling = SamplingOptions(temperature=1.4, top_k=3, repetition_penalty=1.2, max_new_tokens=5)
    sampled = sample_answers(model, tokenizer, prompts, [range(20)] * 3, sampling, batch_size=16, top_log_probs=TOP)

    pairs = [(ids, answer) for ids, own in zip(encode(tokenizer, prompts), sampled, strict=True) for answer in own]
    scored = score(
        model, [ids for ids, _ in pairs], [answer.token_ids for _, answer in pairs], batch_size=16, top_log_probs=TOP
    )
    for (_, answer), found in zip(pairs, scored, strict=True):
        for name in found._fields:
            np.testing.assert_allclose(getattr(found, name), getattr(answer, name), atol=1e-4)
