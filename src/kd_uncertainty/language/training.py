"""Fine-tuning on answers: the loss is over the answer's tokens, and students differ by their order of answers alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import log_softmax
from torch.nn.utils.rnn import pad_sequence

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._precision import forget_rounded_head, head_output, precision_of, products_in
from kd_uncertainty.language.options import FineTuningOptions
from kd_uncertainty.population.counter import as_seeds, philox_orders
from kd_uncertainty.population.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__all__ = ["Batch", "Example", "answer_logits", "batches", "collate", "fine_tune", "loss_of", "precision_of"]

_PLAIN = "_kd_uncertainty_plain_head"
_LEAST_TAIL = 1e-7
"""The tail of a student's distribution is not taken to be smaller: a sum of float32 probabilities is no more exact."""


class Example(NamedTuple):
    """A prompt with an answer of T tokens, and the teacher's distributions along it, if students learn from them.

    Attributes:
        prompt_ids: of the prompt, at least one.
        answer_ids: of the answer, at least one.
        top_ids: (T, K), the teacher's most likely tokens.
        top_log_probs: (T, K), nats.
        tail_mass: (T,), the probability of all other tokens.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    top_ids: NDArray[np.int64] | None = None
    top_log_probs: NDArray[np.float32] | None = None
    tail_mass: NDArray[np.float32] | None = None

    @property
    def key(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What makes two examples the same."""
        return self.prompt_ids, self.answer_ids


class Batch(NamedTuple):
    """Examples side by side: prompts padded on the left, answers on the right, so that all answers begin in a column.

    Attributes:
        input_ids: (examples, columns), without the last token of the longest answer.
        attention_mask: the same shape, 0 where prompts are padded.
        position_ids: the same shape, from 0 at each prompt's first token.
        answer_ids: (examples, T), padded with zeros.
        weights: (examples, T), how often the example is there; 0 where the answer is padded.
        examples: what it is made of.
    """

    input_ids: Tensor
    attention_mask: Tensor
    position_ids: Tensor
    answer_ids: Tensor
    weights: Tensor
    examples: Sequence[Example]

    def to(self, device: torch.device) -> Batch:
        """Return the batch on a device."""
        ids, mask, positions, answers, weights = (values.to(device) for values in self[:5])
        return Batch(ids, mask, positions, answers, weights, self.examples)


def fine_tune(
    model: PreTrainedModel,
    examples: Sequence[Example],
    options: FineTuningOptions,
    order_seed: int,
    on_step: Callable[[int], None] = lambda tokens: None,
) -> NDArray[np.float32]:
    """Train a model in place with AdamW, and return the loss of every step (steps,), in nats a token.

    Every epoch visits all examples in an order that is a pure function of the seed, and batches go on across epochs.
    The learning rate is ``learning_rate`` times :func:`learning_rates`.

    Args:
        model: whose parameters with ``requires_grad`` are trained.
        examples: all with the teacher's distributions, or none.
        options: steps, batch size, optimiser.
        order_seed: of the order, and of dropout where the model has any.
        on_step: told of the tokens of each batch.

    Raises:
        UserError: if the loss becomes infinite or no number.
    """
    trained = [values for values in model.parameters() if values.requires_grad]
    optimiser = torch.optim.AdamW(trained, options.learning_rate, weight_decay=options.weight_decay, fused=True)
    rates = learning_rates(options)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: rates[min(step, len(rates) - 1)])
    losses = np.empty(options.steps, dtype=np.float32)
    forget_rounded_head(model)
    model.train()
    with torch.random.fork_rng([model.device] if model.device.type == "cuda" else []):
        torch.manual_seed(derive_seed(order_seed, "dropout"))
        for step, chosen in enumerate(batches(examples, options, order_seed)):
            batch = collate(chosen).to(model.device)
            with products_in(options, model.device):
                value = loss_of(model, batch)
            losses[step] = value.item()
            if not np.isfinite(losses[step]):
                raise UserError(
                    f"the training loss became {losses[step]} in step {step}; lower students.training.learning_rate"
                )
            optimiser.zero_grad(set_to_none=True)
            value.backward()  # type: ignore[no-untyped-call]
            if options.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(trained, options.clip_norm)
            optimiser.step()
            schedule.step()
            on_step(int(batch.attention_mask.sum()))
    forget_rounded_head(model)
    model.eval()
    return losses


def learning_rates(options: FineTuningOptions) -> NDArray[np.float64]:
    """Return the factor of the learning rate in every step, (steps,).

    With ``w`` steps of warm-up (at least one) of ``n`` it is ``(t + 1) / w`` for t < w, then 1, or, with the linear
    schedule, ``(n - t) / (n - w)``.
    """
    steps = np.arange(options.steps)
    warm = max(round(options.warm_up * options.steps), 1)
    rising = np.minimum((steps + 1) / warm, 1.0)
    if options.schedule == "constant" or warm >= options.steps:
        return rising
    return np.where(steps < warm, rising, (options.steps - steps) / (options.steps - warm))


def batches(examples: Sequence[Example], options: FineTuningOptions, order_seed: int) -> Iterator[list[Example]]:
    """Yield the examples of each step: permutations of all, one epoch after another, cut into batches."""
    size, count = options.batch_size, len(examples)
    epochs = -(-options.steps * size // count)
    seeds = as_seeds([order_seed])
    order = np.concatenate([philox_orders(seeds, epoch, count)[0] for epoch in range(epochs)])
    for step in range(options.steps):
        yield [examples[place] for place in order[step * size : (step + 1) * size]]


def collate(chosen: Sequence[Example]) -> Batch:
    """Put examples side by side; equal ones once, with their number as weight, which changes no loss.

    Args:
        chosen: at least one.
    """
    counts: dict[object, int] = {}
    different: dict[object, Example] = {}
    for example in chosen:
        counts[example.key] = counts.get(example.key, 0) + 1
        different.setdefault(example.key, example)
    rows = list(different.values())
    prompts = pad_sequence([torch.tensor(row.prompt_ids[::-1]) for row in rows], batch_first=True).flip(1)
    within = pad_sequence([torch.ones(len(row.prompt_ids)) for row in rows], batch_first=True).flip(1)
    answers = pad_sequence([torch.tensor(row.answer_ids) for row in rows], batch_first=True)
    weights = pad_sequence([torch.full((len(row.answer_ids),), float(counts[row.key])) for row in rows], True)
    mask = torch.cat([within.long(), torch.ones_like(answers)], dim=1)[:, :-1]
    positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
    return Batch(torch.cat([prompts, answers], dim=1)[:, :-1], mask, positions, answers, weights, rows)


def loss_of(model: PreTrainedModel, batch: Batch) -> Tensor:
    """Return the mean loss over the answers' tokens, in nats.

    With labels it is ``-log p(answer_t)``; with the teacher's distributions the divergence of what is cached of them,
    ``sum_k q_k (log q_k - log p_k) + q_tail (log q_tail - log p_tail)``, where all other tokens are one.

    Args:
        model: the student.
        batch: of :func:`collate`.
    """
    within = batch.weights > 0
    log_probs = log_softmax(answer_logits(model, batch, within).float(), dim=-1)
    weights = batch.weights[within]
    if batch.examples[0].top_ids is None:
        values = -log_probs.gather(-1, batch.answer_ids[within][:, None])[:, 0]
    else:
        values = _divergence(log_probs, batch.examples)
    return (values * weights).sum() / weights.sum()


def answer_logits(model: PreTrainedModel, batch: Batch, within: Tensor) -> Tensor:
    """Return the logits of the answers' tokens alone, (tokens, vocabulary), in the order of ``within``.

    The head is most of a small model's work, and most columns hold prompts or padding, so it is given only the hidden
    states that predict an answer's token. That holds for heads that are nothing but a linear layer; any other model,
    found out by comparing once, computes logits in its own way.

    Args:
        model: the student.
        batch: of :func:`collate`.
        within: (examples, T), which of the answers' tokens are there.
    """
    inputs = {
        "input_ids": batch.input_ids,
        "attention_mask": batch.attention_mask,
        "position_ids": batch.position_ids,
        "use_cache": False,
    }
    length = batch.answer_ids.shape[1]
    if not _has_plain_head(model, inputs):
        own: Tensor = model(**inputs).logits[:, -length:][within]
        return own
    hidden = model.base_model(**inputs).last_hidden_state[:, -length:][within]
    return head_output(model, hidden)


def _has_plain_head(model: PreTrainedModel, inputs: Mapping[str, Any]) -> bool:
    """Whether a model's logits are its head's output for the last hidden states, found out once a model."""
    known: bool | None = getattr(model, _PLAIN, None)
    if known is None:
        few = {name: values[:1] if isinstance(values, Tensor) else values for name, values in inputs.items()}
        with torch.no_grad(), torch.autocast(model.device.type, enabled=False):
            head = model.get_output_embeddings()
            hidden = getattr(model.base_model(**few), "last_hidden_state", None)
            known = head is not None and hidden is not None and torch.equal(head(hidden), model(**few).logits)
        setattr(model, _PLAIN, known)
    return bool(known)


def _divergence(log_probs: Tensor, examples: Sequence[Example]) -> Tensor:
    """Divergence at each token of the answers, (tokens,), from cached probabilities with a tail to the student's."""

    def all_of(name: str) -> Tensor:
        return torch.cat([torch.tensor(getattr(example, name)) for example in examples]).to(log_probs.device)

    ids, log_q, tail = all_of("top_ids").long(), all_of("top_log_probs"), all_of("tail_mass")
    log_p = log_probs.gather(-1, ids)
    rest = torch.log((1.0 - log_p.exp().sum(-1)).clamp(min=_LEAST_TAIL))
    own = torch.where(tail > 0, tail * (tail.clamp(min=_LEAST_TAIL).log() - rest), 0.0)
    return (log_q.exp() * (log_q - log_p)).sum(-1) + own
