"""The distributions along given answers, computed again without sampling, in the precision of the model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kd_uncertainty.language.generation import equal_lengths, prefix_cache
from kd_uncertainty.language.sampling import token_statistics

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_MOST_POSITIONS = 512
"""Tokens scored at once: each has logits as wide as the vocabulary."""


class Scored(NamedTuple):
    """The distributions along an answer of T tokens; see ``TokenStatistics``.

    Attributes:
        log_probs: (T,) float32, nats.
        entropy: (T,) float32, nats.
        top_ids: (T, K) int32.
        top_log_probs: (T, K) float32, nats.
        tail_mass: (T,) float32.
    """

    log_probs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    top_ids: NDArray[np.int32]
    top_log_probs: NDArray[np.float32]
    tail_mass: NDArray[np.float32]


Pair = tuple[tuple[int, ...], tuple[int, ...]]
"""A prompt and an answer to it."""


def score(
    model: PreTrainedModel,
    prompt_ids: Sequence[Sequence[int]],
    answer_ids: Sequence[Sequence[int]],
    *,
    batch_size: int,
    top_log_probs: int | None = None,
) -> list[Scored]:
    """Return ``log p(answer_t | prompt, answer_<t)`` and what else ``Scored`` names, for every answer.

    The distributions have temperature 1 and nothing cut off. Equal answers to equal prompts are computed once.

    Args:
        model: in evaluation mode.
        prompt_ids: the prompt of each answer; none is empty.
        answer_ids: the answers; none is empty.
        batch_size: answers scored at once, at most.
        top_log_probs: K of ``Scored``; None keeps none.
    """
    pairs: list[Pair] = [
        (tuple(map(int, prompt)), tuple(map(int, answer)))
        for prompt, answer in zip(prompt_ids, answer_ids, strict=True)
    ]
    scored: dict[Pair, Scored] = {}
    for batch in _batches(list(dict.fromkeys(pairs)), batch_size):
        scored.update(zip(batch, _score_batch(model, batch, top_log_probs), strict=True))
    return [scored[pair] for pair in pairs]


def _batches(pairs: list[Pair], batch_size: int) -> Iterator[list[Pair]]:
    """Yield pairs of one prompt length, ordered by answer length, few enough for their logits to fit in memory."""
    prompts = [prompt for prompt, _ in pairs]
    for group in equal_lengths([(number, 0) for number in range(len(pairs))], prompts):
        waiting = sorted((pairs[number] for number, _ in group), key=lambda pair: (-len(pair[1]), pair))
        while waiting:
            size = min(batch_size, max(1, _MOST_POSITIONS // len(waiting[0][1])))
            yield waiting[:size]
            waiting = waiting[size:]


@torch.inference_mode()
def _score_batch(model: PreTrainedModel, batch: list[Pair], top: int | None) -> list[Scored]:
    """Score answers on the shared passes over their prompts. They are padded on the right, where no token looks."""
    prompts = [list(prompt) for prompt, _ in batch]
    cache = prefix_cache(model, prompts)
    seen = 0 if cache is None else len(prompts[0]) - 1
    sequences = [torch.tensor(prompt[seen:] + list(answer)) for prompt, (_, answer) in zip(prompts, batch, strict=True)]
    tokens = torch.nn.utils.rnn.pad_sequence(sequences, batch_first=True).to(model.device)
    logits = model(input_ids=tokens[:, :-1], past_key_values=cache, use_cache=True).logits
    first = len(prompts[0]) - seen - 1  # the position that predicts the first token of an answer
    lengths = torch.tensor([len(answer) for _, answer in batch], device=model.device)
    within = torch.arange(logits.shape[1] - first, device=model.device) < lengths[:, None]
    statistics = token_statistics(logits[:, first:][within], tokens[:, first + 1 :][within], top)
    kinds = np.float32, np.float32, np.int32, np.float32, np.float32
    columns = [values.cpu().numpy().astype(kind) for values, kind in zip(statistics, kinds, strict=True)]
    ends = np.cumsum([len(answer) for _, answer in batch])[:-1]
    return [Scored(*parts) for parts in zip(*(np.split(column, ends) for column in columns), strict=True)]
