import numpy as np
import pytest
import torch
from scipy import stats

pytest.importorskip("transformers", reason="needs the extra [language]")

from kd_uncertainty.language.tiny import CHARACTERS, EOS, SPECIAL, normals, tiny_model

QUESTIONS = [f"Question: What is {a}+{b}?\nAnswer:" for a in range(4) for b in range(3)]


def test_text_becomes_characters_and_text_again(tiny):
    text = "".join(CHARACTERS) + "  two  spaces\n\n<x> i'm , ."
    tokens = tiny.tokenizer(text)["input_ids"]
    assert len(tokens) == len(text)
    assert tiny.tokenizer.decode(tokens) == text
    assert len(tiny.tokenizer) == tiny.model.config.vocab_size == len(SPECIAL) + len(CHARACTERS)


def test_unknown_characters_and_the_end_of_a_text(tiny):
    assert tiny.tokenizer("aéb")["input_ids"][1] == tiny.tokenizer.unk_token_id
    assert tiny.tokenizer(EOS)["input_ids"] == [tiny.tokenizer.eos_token_id] == [tiny.model.config.eos_token_id]
    assert tiny.tokenizer.pad_token_id not in (tiny.tokenizer.eos_token_id, None)


def test_weights_are_a_pure_function_of_the_seed():
    before = torch.get_rng_state()
    first, again, other = (tiny_model(seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(before, torch.get_rng_state())
    assert all(torch.equal(values, again[name]) for name, values in first.items())
    assert not any(torch.equal(values, other[name]) for name, values in first.items() if values.dim() > 1)


def test_numbers_are_normal_and_independent():
    first, second = (normals(seed, torch.Size([200, 250])).numpy().ravel() for seed in (0, 1))
    assert stats.kstest(first, "norm").pvalue > 1e-3
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(first.size)
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / np.sqrt(first.size)
    np.testing.assert_array_equal(normals(0, torch.Size([10])).numpy(), first[:10])


@torch.inference_mode()
def test_answers_depend_on_the_prompt_and_vary(tiny):
    batch = tiny.tokenizer(QUESTIONS, return_tensors="pt", padding=True)
    log_probs = tiny.model(**batch).logits[:, -1].log_softmax(-1)
    entropy = -(log_probs.exp() * log_probs).sum(-1)
    assert len(set(log_probs.argmax(-1).tolist())) >= 3
    assert 0.3 < entropy.mean() < 3
