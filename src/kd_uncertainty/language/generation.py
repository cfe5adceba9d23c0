"""Answers sampled from a causal language model, every one a pure function of the model, its prompt and its seed.

All answers to a prompt share one pass over the prompt. Prompts of equal length are sampled together, so that nothing
is padded, and an answer that has ended leaves the batch, so that long answers do not keep short ones waiting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.language.answers import cut
from kd_uncertainty.language.options import SamplingOptions
from kd_uncertainty.language.sampling import TokenStatistics, draw_tokens, logits_processors, token_statistics

if TYPE_CHECKING:
    from transformers import Cache, PreTrainedModel, PreTrainedTokenizerBase


class Sampled(NamedTuple):
    """An answer of T tokens, the last of which ended it if it is finished; see ``TokenStatistics``.

    Attributes:
        token_ids: (T,) int32, with the token of the end or the one that completes a stop string.
        log_probs: (T,) float32, nats.
        entropy: (T,) float32, nats.
        top_ids: (T, K) int32.
        top_log_probs: (T, K) float32, nats.
        tail_mass: (T,) float32.
        finished: whether it ended by itself, rather than at the greatest length.
    """

    token_ids: NDArray[np.int32]
    log_probs: NDArray[np.float32]
    entropy: NDArray[np.float32]
    top_ids: NDArray[np.int32]
    top_log_probs: NDArray[np.float32]
    tail_mass: NDArray[np.float32]
    finished: bool


def encode(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[str]) -> list[list[int]]:
    """Return the token ids of prompts, with what the tokenizer puts before a text."""
    return [list(tokenizer(prompt)["input_ids"]) for prompt in prompts]


def decode(tokenizer: PreTrainedTokenizerBase, answers: Sequence[Sequence[int]], stop: Sequence[str]) -> list[str]:
    """Return the texts of answers, without special tokens, cut at the first stop string and stripped."""
    texts = tokenizer.batch_decode([list(map(int, answer)) for answer in answers], skip_special_tokens=True)
    return [cut(text, stop) for text in texts]


def end_tokens(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return the tokens that end an answer: the tokenizer's and those of the model's own generation settings."""
    own = getattr(model.generation_config, "eos_token_id", None)
    found = [tokenizer.eos_token_id, *(own if isinstance(own, list | tuple) else [own])]
    return sorted({int(token) for token in found if token is not None})


def sample_answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[str],
    seeds: Sequence[Sequence[int]],
    sampling: SamplingOptions,
    *,
    batch_size: int,
    top_log_probs: int | None = None,
    on_tokens: Callable[[int], None] | None = None,
) -> list[list[Sampled]]:
    """Sample answers, one for each seed of each prompt, in their order.

    Args:
        model: in evaluation mode.
        tokenizer: its own.
        prompts: none is empty or longer than the context.
        seeds: of the answers to each prompt.
        sampling: temperature, what is cut off, and when an answer ends; its batch size is not used.
        batch_size: answers sampled at once.
        top_log_probs: K of ``Sampled``; None keeps no tokens but the drawn ones.
        on_tokens: told of tokens as they are sampled.
    """
    ids = encode(tokenizer, prompts)
    sampler = _Sampler(model, tokenizer, sampling, top_log_probs, on_tokens or (lambda _: None))
    answers: list[list[Any]] = [[None] * len(own) for own in seeds]
    for batch in equal_lengths([(prompt, draw) for prompt, own in enumerate(seeds) for draw in range(len(own))], ids):
        for start in range(0, len(batch), batch_size):
            rows = batch[start : start + batch_size]
            sampled = sampler.sample(
                [ids[prompt] for prompt, _ in rows], [seeds[prompt][draw] for prompt, draw in rows]
            )
            for (prompt, draw), answer in zip(rows, sampled, strict=True):
                answers[prompt][draw] = answer
    return answers


def equal_lengths(rows: Sequence[tuple[int, int]], ids: Sequence[Sequence[int]]) -> Iterator[list[tuple[int, int]]]:
    """Group rows (prompt, number) by the length of their prompts, the longest first, equal prompts side by side."""

    def key(row: tuple[int, int]) -> tuple[int, Sequence[int]]:
        return -len(ids[row[0]]), ids[row[0]]

    for _, group in groupby(sorted(rows, key=key), key=lambda row: len(ids[row[0]])):
        yield list(group)


def prefix_cache(model: PreTrainedModel, ids: Sequence[Sequence[int]]) -> Cache | None:
    """Pass prompts of one length through a model, all but their last tokens; the cache has one row for each.

    Equal prompts are computed once, and so is the beginning that all have in common, such as examples.

    Returns None where there is nothing to keep: prompts of one token, or a model without such a cache.
    """
    rows = {tuple(prompt): row for row, prompt in enumerate(dict.fromkeys(map(tuple, ids)))}
    tokens = torch.tensor(list(rows), device=model.device)[:, :-1]
    common = int((tokens == tokens[0]).all(dim=0).long().cumprod(dim=0).sum())
    cache = _extended(model, tokens[:1, :common], None)
    if cache is not None:
        cache.batch_select_indices(torch.zeros(len(rows), dtype=torch.long))
    elif common:
        return None
    cache = _extended(model, tokens[:, common:], cache)
    if cache is not None:
        cache.batch_select_indices(torch.tensor([rows[tuple(prompt)] for prompt in ids]))
    return cache


def _extended(model: PreTrainedModel, tokens: Tensor, cache: Cache | None) -> Cache | None:
    """Pass further tokens (rows, length) through a model, without its head, which is as wide as the vocabulary."""
    from transformers import Cache

    if tokens.shape[1] == 0:
        return cache
    output = model.base_model(input_ids=tokens, past_key_values=cache, use_cache=True)
    found = getattr(output, "past_key_values", None)
    return found if isinstance(found, Cache) else None


class _Sampler(NamedTuple):
    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    options: SamplingOptions
    top: int | None
    on_tokens: Callable[[int], None]

    @torch.inference_mode()
    def sample(self, ids: list[list[int]], seeds: list[int]) -> list[Sampled]:
        """Sample one answer to each of these prompts, which have the same length."""
        model, length = self.model, len(ids[0])
        cache = prefix_cache(model, ids)
        tokens, keys = torch.tensor(ids, device=model.device), torch.tensor(seeds, device=model.device)
        rows, records = torch.arange(len(ids)), [_Record() for _ in ids]
        processors = logits_processors(self.options, model.device)
        for position in range(self.options.max_new_tokens):
            inputs = tokens if cache is None else tokens[:, -1:]
            output = model(input_ids=inputs, past_key_values=cache, use_cache=True)
            cache = getattr(output, "past_key_values", None)
            logits = output.logits[:, -1].float()
            drawn = draw_tokens(processors(cast("torch.LongTensor", tokens), logits.clone()), keys, position)
            tokens = torch.cat([tokens, drawn[:, None]], dim=1)
            ended = self._ended(tokens[:, length:])
            _keep(records, rows, drawn, token_statistics(logits, drawn, self.top), ended)
            self.on_tokens(len(rows))
            going = torch.nonzero(~ended)[:, 0].cpu()  # on the CPU, since layers may be on several devices
            if len(going) == 0:
                break
            if len(going) < len(rows):
                rows, tokens, keys = rows[going], tokens[going], keys[going]
                if cache is not None:
                    cache.batch_select_indices(going)
        return [record.sampled() for record in records]

    def _ended(self, answers: Tensor) -> Tensor:
        """Tell which answers (rows, tokens) so far have come to their end, (rows,)."""
        ends = torch.tensor(end_tokens(self.model, self.tokenizer), dtype=answers.dtype, device=answers.device)
        ended = torch.isin(answers[:, -1], ends)
        if self.options.stop:
            texts = self.tokenizer.batch_decode(answers.tolist(), skip_special_tokens=True)
            stopped = [any(stop in text for stop in self.options.stop) for text in texts]
            ended |= torch.tensor(stopped, device=answers.device)
        return ended


class _Record:
    """What is kept of an answer, token by token."""

    def __init__(self) -> None:
        self.columns: list[list[Any]] = [[] for _ in Sampled._fields[:-1]]
        self.finished = False

    def sampled(self) -> Sampled:
        integer, real = partial(np.array, dtype=np.int32), partial(np.array, dtype=np.float32)
        ids, log_probs, entropy, top_ids, top_log_probs, tail_mass = self.columns
        return Sampled(
            integer(ids),
            real(log_probs),
            real(entropy),
            integer(top_ids),
            real(top_log_probs),
            real(tail_mass),
            self.finished,
        )


def _keep(records: list[_Record], rows: Tensor, drawn: Tensor, statistics: TokenStatistics, ended: Tensor) -> None:
    columns = [values.cpu().numpy() for values in (drawn, *statistics)]
    for place, (row, over) in enumerate(zip(rows.tolist(), ended.tolist(), strict=True)):
        for kept, values in zip(records[row].columns, columns, strict=True):
            kept.append(values[place])
        records[row].finished = over
