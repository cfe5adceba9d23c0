import copy

import pytest
import torch

pytest.importorskip("transformers", reason="needs the extra [language]")

from transformers import AutoModelForCausalLM, GPT2Config, LlamaConfig, Qwen2Config

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.layers import (
    embedding_parameters,
    num_layers,
    perturb,
    spread_layers,
    truncate,
)

LAYERS = 5
SIZES = {"vocab_size": 40, "hidden_size": 16, "num_hidden_layers": LAYERS, "num_attention_heads": 2}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "initializer_range": 0.3}
CONFIGS = {
    "llama": LlamaConfig(**SIZES, **TOKENS, intermediate_size=24, num_key_value_heads=1, tie_word_embeddings=True),
    "qwen2": Qwen2Config(
        **SIZES,
        **TOKENS,
        intermediate_size=24,
        num_key_value_heads=1,
        tie_word_embeddings=False,
        layer_types=["full_attention", "sliding_attention"] * 2 + ["full_attention"],
        sliding_window=3,
        use_sliding_window=True,
    ),
    "gpt2": GPT2Config(vocab_size=40, n_embd=16, n_layer=LAYERS, n_head=2, n_inner=24, **TOKENS),
}
INTO_THE_SUM = {"llama": ("o_proj", "down_proj"), "qwen2": ("o_proj", "down_proj"), "gpt2": ("c_proj",)}
PROMPT = torch.tensor([[5, 9, 31, 17, 22, 8]])


def build(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return (
            AutoModelForCausalLM.from_config(copy.deepcopy(CONFIGS[name]), attn_implementation="eager").double().eval()
        )


@pytest.mark.parametrize(
    ("wanted", "layers", "kept"),
    [
        (4, 30, (0, 10, 19, 29)),
        (1, 30, (0,)),
        (2, 30, (0, 29)),
        (3, 4, (0, 2, 3)),
        (4, 4, (0, 1, 2, 3)),
        ((7, 0, 3), 8, (0, 3, 7)),
    ],
)
def test_layers_are_spread_from_the_first_to_the_last(wanted, layers, kept):
    assert spread_layers(wanted, layers) == kept


@pytest.mark.parametrize(("wanted", "says"), [(5, "at most 4"), ((0, 4), "names layer 4, .* 0 to 3")])
def test_layers_that_the_teacher_does_not_have(wanted, says):
    with pytest.raises(UserError, match=says):
        spread_layers(wanted, 4)


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_a_layer_left_out_is_a_layer_that_adds_nothing(name):
    """A layer adds to the sum that it reads: with nothing to add it might as well not be there."""
    kept = (0, 2, 3)
    silenced, truncated = build(name), truncate(build(name), kept)
    left_out = [f".{layer}." for layer in range(LAYERS) if layer not in kept]
    for parameter, values in silenced.named_parameters():
        if any(layer in parameter for layer in left_out) and any(part in parameter for part in INTO_THE_SUM[name]):
            values.zero_()
    torch.testing.assert_close(truncated(PROMPT).logits, silenced(PROMPT).logits, rtol=0, atol=1e-12)
    assert num_layers(truncated) == len(kept)


@pytest.mark.parametrize("name", CONFIGS)
@torch.inference_mode()
def test_a_truncated_model_generates_with_its_cache_what_it_says_without(name):
    model = truncate(build(name), (1, 4))
    settings = {"max_new_tokens": 8, "do_sample": False, "attention_mask": torch.ones_like(PROMPT), "eos_token_id": -1}
    cached = model.generate(PROMPT, use_cache=True, **settings)
    assert torch.equal(cached, model.generate(PROMPT, use_cache=False, **settings))
    if name == "qwen2":
        assert model.config.layer_types == ["sliding_attention", "full_attention"]


def test_a_model_without_a_list_of_layers_is_refused():
    model = build("llama")
    model.model.layers = torch.nn.Sequential(*model.model.layers)
    with pytest.raises(UserError, match="LlamaForCausalLM has no list of 5 layers"):
        truncate(model, (0, 1))


@pytest.mark.parametrize(("name", "expected"), [("llama", 1), ("qwen2", 2)])
def test_embeddings_and_head_are_one_parameter_where_they_are_tied(name, expected):
    assert [tuple(values.shape) for values in embedding_parameters(build(name))] == [(40, 16)] * expected


def test_a_perturbation_is_relative_normal_and_of_its_size():
    sigma, model, original = 0.1, build("qwen2"), build("qwen2").state_dict()
    perturb(model, sigma, seed=3)
    changed = {name: values for name, values in model.state_dict().items() if (original[name] != 0).any()}
    noise = {name: (values / original[name] - 1) / sigma for name, values in changed.items()}
    drawn = torch.cat([values[original[name] != 0] for name, values in noise.items()])
    assert abs(drawn.mean()) < 4 / len(drawn) ** 0.5
    assert abs(drawn.std() - 1) < 4 / (2 * len(drawn)) ** 0.5
    first, second = (noise[f"model.layers.{layer}.mlp.up_proj.weight"].ravel() for layer in (0, 1))
    assert abs(torch.corrcoef(torch.stack([first, second]))[0, 1]) < 4 / len(first) ** 0.5


def test_a_perturbation_is_a_pure_function_of_seed_and_name():
    first, again, other, none = (build("llama") for _ in range(4))
    for model, sigma, seed in ((first, 0.1, 1), (again, 0.1, 1), (other, 0.1, 2), (none, 0.0, 1)):
        perturb(model, sigma, seed)
    name = "model.layers.2.self_attn.q_proj.weight"
    assert torch.equal(first.state_dict()[name], again.state_dict()[name])
    assert not torch.equal(first.state_dict()[name], other.state_dict()[name])
    for parameter, values in build("llama").state_dict().items():
        assert torch.equal(values, none.state_dict()[parameter])


def test_frozen_parameters_are_not_perturbed():
    model, original = build("llama"), build("llama").state_dict()
    for values in embedding_parameters(model):
        values.requires_grad_(False)
    perturb(model, 0.1, seed=1)
    unchanged = {name for name, values in model.state_dict().items() if torch.equal(values, original[name])}
    assert unchanged == {"model.embed_tokens.weight", "lm_head.weight"}
