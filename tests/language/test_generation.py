from itertools import chain, groupby

import numpy as np
import pytest
import torch
from scipy import stats

from kd_uncertainty.language.generation import decode, encode, end_tokens, sample_answers
from kd_uncertainty.language.options import SamplingOptions
from kd_uncertainty.language.sampling import draw_tokens, logits_processors

transformers = pytest.importorskip("transformers", reason="needs the extra [language]")

from tests.language.small_models import END, STOP, VOCABULARY, small_model, small_tokenizer  # noqa: E402

TOKENIZER = small_tokenizer()
SAMPLING = SamplingOptions(temperature=4.0, top_k=5, max_new_tokens=3, stop=("\n",))
LEVEL = 1e-3
"""Of the test of a distribution; seeds are fixed, so that it passes always or never."""


@pytest.fixture(scope="module")
def model():
    return small_model()


def answer_probabilities(model, prompt, sampling):
    """Every answer and its probability, by a pass without a cache over each beginning of one."""
    processors, answers, waiting = logits_processors(sampling, model.device), {}, {(): 1.0}
    while waiting:
        said, probability = waiting.popitem()
        tokens = torch.tensor([[*prompt, *said]])
        logits = model(input_ids=tokens, use_cache=False).logits[:, -1]
        for token, share in enumerate(processors(tokens, logits)[0].softmax(-1).tolist()):
            longer = (*said, token)
            over = token in (STOP, END) or len(longer) == sampling.max_new_tokens
            (answers if over else waiting)[longer] = probability * share
    return {answer: probability for answer, probability in answers.items() if probability > 0}


def test_answers_have_the_probabilities_of_the_processed_softmax(model):
    draws, (prompt,) = 4000, encode(TOKENIZER, ["abcab"])
    (answers,) = sample_answers(model, TOKENIZER, ["abcab"], [range(draws)], SAMPLING, batch_size=1000)

    expected = answer_probabilities(model, prompt, SAMPLING)
    assert sum(expected.values()) == pytest.approx(1.0)
    counts = dict.fromkeys(expected, 0)
    for answer in answers:
        counts[tuple(answer.token_ids.tolist())] += 1
    often = [answer for answer, probability in expected.items() if probability * draws >= 5]
    assert len(often) > 20
    seen = [*(counts[answer] for answer in often), draws - sum(counts[answer] for answer in often)]
    hoped = [*(expected[answer] for answer in often), 1 - sum(expected[answer] for answer in often)]
    assert stats.chisquare(seen, draws * np.array(hoped) / sum(hoped)).pvalue > LEVEL


def test_an_answer_depends_on_its_own_prompt_and_seed_alone(model):
    prompts, seeds = ["abc", "de", "eda", "a", "abc"], [[1, 2, 3], [4, 5], [6, 7, 8, 9], [10], [11, 2]]

    def sample(prompts, seeds, size):
        return sample_answers(model, TOKENIZER, prompts, seeds, SAMPLING, batch_size=size, top_log_probs=3)

    together = sample(prompts, seeds, 64)
    in_pairs = sample(prompts[::-1], seeds[::-1], 2)[::-1]
    for prompt, own, answers, others in zip(prompts, seeds, together, in_pairs, strict=True):
        for seed, answer, other in zip(own, answers, others, strict=True):
            alone = sample([prompt], [[seed]], 1)[0][0]
            for twin in (other, alone):
                assert twin.finished == answer.finished
                for found, wanted in zip(twin[:-1], answer[:-1], strict=True):
                    np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert together[0][1].token_ids.tolist() == together[4][1].token_ids.tolist()


def test_sampling_is_generate_with_gumbel_noise(model):
    sampling = SamplingOptions(temperature=0.8, top_p=0.9, repetition_penalty=1.3, max_new_tokens=8)
    prompts, seeds = ["abcd", "eeda", "cccc"], [[1, 2], [3, 4], [5, 6]]
    keys, (length,) = torch.tensor(seeds).flatten(), {len(ids) for ids in encode(TOKENIZER, prompts)}

    class Noise(transformers.LogitsProcessor):
        def __call__(self, input_ids, scores):
            drawn = draw_tokens(scores, keys, input_ids.shape[1] - length)
            return torch.zeros_like(scores).scatter(1, drawn[:, None], 1.0)

    processors = [*logits_processors(sampling, model.device), Noise()]
    ids = torch.tensor(encode(TOKENIZER, prompts)).repeat_interleave(2, dim=0)
    config = transformers.GenerationConfig(
        do_sample=False, max_new_tokens=8, eos_token_id=[STOP, END], pad_token_id=END
    )
    generated = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        generation_config=config,
        logits_processor=transformers.LogitsProcessorList(processors),
    )[:, length:]

    sampled = sample_answers(model, TOKENIZER, prompts, seeds, sampling, batch_size=4)
    for row, answer in zip(generated, chain(*sampled), strict=True):
        assert answer.token_ids.tolist() == row[: len(answer.token_ids)].tolist()
        assert row[len(answer.token_ids) :].eq(END).all()


def test_answers_end_with_the_end_token_a_stop_string_or_at_the_greatest_length(model):
    counted = []
    sampling = SamplingOptions(temperature=8.0, top_k=0, max_new_tokens=4, stop=("\n", "ab"))
    (answers,) = sample_answers(
        model, TOKENIZER, ["ad"], [range(400)], sampling, batch_size=64, on_tokens=counted.append
    )

    assert sum(counted) == sum(len(answer.token_ids) for answer in answers)
    kinds = set()
    for answer in answers:
        said = answer.token_ids.tolist()
        ends = [
            place
            for place in range(1, len(said) + 1)
            if said[place - 1] in (STOP, END) or said[max(place - 2, 0) : place] == [0, 1]
        ]
        assert answer.finished == bool(ends)
        assert len(said) == (ends[0] if ends else 4)
        kinds.add(said[-1] if answer.finished else None)
    assert kinds == {STOP, END, 1, None}
    assert answers[0].top_ids.shape == (len(answers[0].token_ids), 0)


def test_the_model_may_have_end_tokens_of_its_own(model):
    own = small_model()
    own.generation_config.eos_token_id = [0, END]
    assert end_tokens(model, TOKENIZER) == [END]
    assert end_tokens(own, TOKENIZER) == [0, END]
    (answers,) = sample_answers(own, TOKENIZER, ["b"], [range(100)], SAMPLING, batch_size=100)
    assert all(0 not in answer.token_ids[:-1] for answer in answers)
    assert any(answer.token_ids[-1] == 0 and answer.finished for answer in answers)


def test_decoded_answers_are_cut_and_free_of_special_tokens():
    assert decode(TOKENIZER, [[0, 1, STOP], np.array([2, END]), [STOP], [3, STOP, 4]], ["\n"]) == ["ab", "c", "", "d"]


def test_all_tokens_are_possible_if_nothing_is_cut_off(model):
    sampling = SamplingOptions(temperature=20.0, top_k=0, max_new_tokens=1, stop=())
    (answers,) = sample_answers(model, TOKENIZER, ["abc"], [range(300)], sampling, batch_size=300)
    first = sorted(int(answer.token_ids[0]) for answer in answers)
    assert [token for token, _ in groupby(first)] == list(range(VOCABULARY))
