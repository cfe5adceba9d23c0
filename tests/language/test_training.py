import copy
from collections import Counter

import numpy as np
import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import FineTuningOptions
from kd_uncertainty.language.training import Example, answer_logits, batches, collate, fine_tune, loss_of

transformers = pytest.importorskip("transformers", reason="needs the extra [language]")

from tests.language.small_models import END, VOCABULARY, small_model  # noqa: E402

EXAMPLES = [
    Example((0, 1, 2, 3), (4, 5)),
    Example((1,), (0, 2, 3, 5)),
    Example((3, 3), (1, 5)),
    Example((2, 4, 0), (END,)),
    Example((3, 3), (2, 2, 5)),
]
OPTIONS = FineTuningOptions(steps=7, batch_size=3, learning_rate=3e-3, weight_decay=0.1, precision="float32")


def learner(dtype=torch.float64):
    return small_model(dtype).requires_grad_(True)


def small(kind):
    """Other classes: logits that are scaled or bounded after the head, and positions that are learnt."""
    common = {"vocab_size": VOCABULARY, "bos_token_id": None, "eos_token_id": END, "pad_token_id": None}
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}
    with torch.random.fork_rng():
        torch.manual_seed(1)
        if kind == "cohere":
            config = transformers.CohereConfig(**common, **sizes, intermediate_size=32, logit_scale=0.3)
            return transformers.CohereForCausalLM(config).double().eval()
        if kind == "gemma2":
            config = transformers.Gemma2Config(
                **common, **sizes, intermediate_size=32, num_key_value_heads=1, head_dim=8, final_logit_softcapping=2.0
            )
            config._attn_implementation = "eager"
            return transformers.Gemma2ForCausalLM(config).eval()
        config = transformers.GPT2Config(**common, n_embd=16, n_layer=2, n_head=2, n_positions=64)
        return transformers.GPT2LMHeadModel(config).double().eval()


def reference_loss(model, examples):
    """The model's own loss with prompts masked by -100, one example after another so that nothing is padded."""
    total, tokens = 0.0, 0
    for example in examples:
        ids = torch.tensor([[*example.prompt_ids, *example.answer_ids]])
        labels = torch.tensor([[-100] * len(example.prompt_ids) + list(example.answer_ids)])
        total = total + model(input_ids=ids, labels=labels).loss * len(example.answer_ids)
        tokens += len(example.answer_ids)
    return total / tokens


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: values.grad.clone() for name, values in model.named_parameters() if values.grad is not None}


def assert_same_gradients(found, wanted, tolerance=1e-6):
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        torch.testing.assert_close(found[name], values, rtol=tolerance, atol=tolerance, msg=name)


KINDS = ["llama", "cohere", "gemma2", "gpt2"]
TOLERANCES = {"gemma2": 2e-5}
"""It is in float32: its attention masks padding with the least float64, which its softmax in float32 takes for -inf."""


@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradient_are_the_models_own_with_the_prompt_masked(kind):
    model = learner() if kind == "llama" else small(kind)
    chosen = [*EXAMPLES, EXAMPLES[0], EXAMPLES[2], EXAMPLES[0]]
    found, wanted = loss_of(model, collate(chosen)), reference_loss(model, chosen)
    tolerance = TOLERANCES.get(kind, 1e-6)
    assert found.item() == pytest.approx(wanted.item(), rel=tolerance)
    assert_same_gradients(gradients(model, found), gradients(model, wanted), tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("chosen", [[EXAMPLES[2], Example((0, 4), (3, 5))], EXAMPLES], ids=["equal lengths", "padded"])
def test_logits_at_answers_are_those_of_each_sequence_alone(kind, chosen):
    model = learner() if kind == "llama" else small(kind)
    batch = collate(chosen)
    assert bool((batch.attention_mask == 1).all() and (batch.weights > 0).all()) is (len(chosen) == 2)
    found = answer_logits(model, batch, batch.weights > 0)
    wanted = []
    for example in chosen:
        whole = model(input_ids=torch.tensor([[*example.prompt_ids, *example.answer_ids]])).logits[0]
        wanted.append(whole[len(example.prompt_ids) - 1 : -1])
    tolerance = TOLERANCES.get(kind, 1e-6)
    torch.testing.assert_close(found, torch.cat(wanted), rtol=tolerance, atol=tolerance)


def test_equal_examples_are_merged_and_weigh_as_often_as_they_are_there():
    model, chosen = learner(), [EXAMPLES[0], EXAMPLES[1], EXAMPLES[0], EXAMPLES[0]]
    merged = collate(chosen)
    assert len(merged.input_ids) == 2
    alone = [collate([example]) for example in chosen]
    sizes = [len(example.answer_ids) for example in chosen]
    mean = sum(loss_of(model, one) * size for one, size in zip(alone, sizes, strict=True)) / sum(sizes)
    loss = loss_of(model, merged)
    assert loss.item() == pytest.approx(mean.item(), rel=1e-6)
    assert_same_gradients(gradients(model, loss), gradients(model, mean))


def distributed(examples, most, seed=0):
    """The examples with a teacher's distributions along them, of which the ``most`` likely tokens are kept."""
    rng, found, full = np.random.default_rng(seed), [], []
    for example in examples:
        shares = rng.dirichlet(np.full(VOCABULARY, 0.7), size=len(example.answer_ids))
        ids = np.argsort(-shares)[:, :most]
        kept = np.take_along_axis(shares, ids, axis=1)
        tail = np.zeros(len(shares)) if most == VOCABULARY else 1.0 - kept.sum(axis=1)
        values = (ids, np.log(kept).astype(np.float32), tail.astype(np.float32))
        found.append(Example(example.prompt_ids, example.answer_ids, *values))
        full.append(shares)
    return found, full


def log_softmaxes(model, examples):
    """Of the tokens of each answer, without padding."""
    found = []
    for example in examples:
        logits = model(input_ids=torch.tensor([[*example.prompt_ids, *example.answer_ids]])).logits[0]
        found.append(logits[len(example.prompt_ids) - 1 : -1].log_softmax(-1))
    return found


def test_with_all_tokens_kept_the_loss_is_the_divergence_of_full_distributions():
    model = learner()
    examples, shares = distributed(EXAMPLES, VOCABULARY)
    log_p, q = torch.cat(log_softmaxes(model, examples)), torch.from_numpy(np.concatenate(shares))
    wanted = torch.nn.functional.kl_div(log_p, q, reduction="batchmean")
    found = loss_of(model, collate(examples))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert_same_gradients(gradients(model, found), gradients(model, wanted), 1e-5)


def test_with_a_tail_all_other_tokens_are_one_and_the_divergence_is_smaller():
    model = learner()
    examples, shares = distributed(EXAMPLES, 3)
    total, full, tokens = 0.0, 0.0, 0
    for example, q, log_p in zip(examples, shares, log_softmaxes(model, examples), strict=True):
        for row, log_row, ids in zip(torch.from_numpy(q), log_p, example.top_ids, strict=True):
            rest = [token for token in range(VOCABULARY) if token not in ids]
            p, tail = log_row.exp(), row[rest].sum()
            total = total + sum(row[i] * (row[i].log() - log_row[i]) for i in ids)
            total = total + tail * (tail / p[rest].sum()).log()
            full = full + (row * (row.log() - log_row)).sum().item()
            tokens += 1
    found = loss_of(model, collate(examples))
    assert found.item() == pytest.approx(total.item() / tokens, rel=1e-5)
    assert 0 < found.item() < full / tokens
    assert_same_gradients(gradients(model, found), gradients(model, total / tokens), 1e-5)


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [("constant", [1 / 4, 2 / 4, 3 / 4, 1, 1, 1, 1]), ("linear", [1 / 4, 2 / 4, 3 / 4, 1, 1, 2 / 3, 1 / 3])],
)
def test_training_is_plain_adamw_with_a_warm_up_and_clipping(schedule, rates):
    options = OPTIONS.model_copy(update={"warm_up": 0.5, "clip_norm": 0.05, "schedule": schedule})
    model, plain = learner(), learner()
    losses = fine_tune(model, EXAMPLES, options, order_seed=3)

    optimiser, wanted = torch.optim.AdamW(plain.parameters(), lr=3e-3, weight_decay=0.1), []
    for step, chosen in enumerate(batches(EXAMPLES, options, 3)):
        optimiser.param_groups[0]["lr"] = 3e-3 * rates[step]
        loss = reference_loss(plain, chosen)
        optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(plain.parameters(), 0.05)
        assert norm > 0.05
        optimiser.step()
        wanted.append(loss.item())
    np.testing.assert_allclose(losses, wanted, rtol=1e-5)
    for (name, values), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        torch.testing.assert_close(values, other, rtol=1e-5, atol=1e-5, msg=name)


def test_every_epoch_visits_every_example_once_and_batches_go_on_across_epochs():
    options = OPTIONS.model_copy(update={"steps": 10})
    cut = list(batches(EXAMPLES, options, 5))
    assert [len(chosen) for chosen in cut] == [3] * 10
    visited = [example for chosen in cut for example in chosen]
    for start in range(0, 30, 5):
        assert Counter(visited[start : start + 5]) == Counter(EXAMPLES)
    assert list(batches(EXAMPLES, options, 5)) == cut
    assert list(batches(EXAMPLES, options, 6)) != cut
    assert list(batches(EXAMPLES, OPTIONS, 5)) == cut[:7]


def test_a_batch_may_be_larger_than_all_examples_together():
    options = OPTIONS.model_copy(update={"steps": 2, "batch_size": 12})
    assert [Counter(chosen)[EXAMPLES[0]] for chosen in batches(EXAMPLES, options, 1)] in ([2, 3], [3, 2])


def test_training_is_a_function_of_the_order_seed_even_with_dropout():
    def trained(seed, noise):
        torch.manual_seed(noise)
        model = learner(torch.float32)
        model.config.attention_dropout = 0.3
        for layer in model.model.layers:
            layer.self_attn.attention_dropout = 0.3
        before = torch.random.get_rng_state()
        losses = fine_tune(model, EXAMPLES, OPTIONS, seed)
        assert torch.equal(before, torch.random.get_rng_state())
        assert not model.training
        return losses, torch.cat([values.detach().flatten() for values in model.parameters()])

    (losses, weights), (again, same), (_, others) = trained(1, 0), trained(1, 9), trained(2, 0)
    assert losses.tolist() == again.tolist()
    assert torch.equal(weights, same)
    assert not torch.equal(weights, others)


def test_frozen_parameters_stay_as_they_are_and_the_others_learn():
    model = learner(torch.float32)
    head = [model.get_input_embeddings().weight, model.get_output_embeddings().weight]
    for values in head:
        values.requires_grad_(False)
    before = copy.deepcopy(model)
    counted = []
    losses = fine_tune(
        model, EXAMPLES, OPTIONS.model_copy(update={"steps": 60, "learning_rate": 1e-2}), 1, counted.append
    )
    assert torch.equal(model.get_input_embeddings().weight, before.get_input_embeddings().weight)
    assert losses[-10:].mean() < 0.5 * losses[:3].mean()
    assert len(counted) == 60
    assert min(counted) > 0


def test_a_loss_that_diverges_is_refused():
    model = learner(torch.float32)
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(UserError, match=r"became nan in step 0; lower students.training.learning_rate"):
        fine_tune(model, EXAMPLES, OPTIONS, 1)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_head_that_is_rounded_once_gives_what_autocast_does(frozen):
    model, batch = learner(torch.float32), collate(EXAMPLES)
    model.get_output_embeddings().weight.requires_grad_(not frozen)
    within = batch.weights > 0
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.base_model(batch.input_ids, batch.attention_mask, batch.position_ids).last_hidden_state
        plain = model.lm_head(hidden[:, -batch.answer_ids.shape[1] :][within])
        assert torch.equal(answer_logits(model, batch, within), plain)
        assert torch.equal(answer_logits(model, batch, within), plain)
    assert plain.dtype == torch.bfloat16


def test_training_in_bfloat16_is_near_to_training_in_float32():
    rough, exact = learner(torch.float32), learner(torch.float32)
    found = fine_tune(rough, EXAMPLES, OPTIONS.model_copy(update={"precision": "bfloat16"}), 1)
    wanted = fine_tune(exact, EXAMPLES, OPTIONS, 1)
    np.testing.assert_allclose(found, wanted, rtol=0.05, atol=0.05)
    assert found.tolist() != wanted.tolist()
    assert all(values.dtype == torch.float32 for values in rough.parameters())
