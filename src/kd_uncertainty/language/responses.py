"""The teacher's answers: sampled shard by shard, as a table, and read from anyone's table.

A shard holds a few prompts with all their draws. Draw d of prompt p is sampled from the seed
``derive_seed(seed, "response", p, d)``, whatever else is sampled.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._response_table import NO_TOKEN, SCHEMA, TOKENS, read_responses, response_tables
from kd_uncertainty.language.generation import Sampled, encode, sample_answers
from kd_uncertainty.language.models import context_length, load_model, load_tokenizer, model_token
from kd_uncertainty.language.options import LanguageResponsesOptions, ModelOptions
from kd_uncertainty.language.pretrained import from_pretrained, import_transformers
from kd_uncertainty.language.scoring import score
from kd_uncertainty.language.tiny import CONTEXT
from kd_uncertainty.language.weights import TINY, find_weights
from kd_uncertainty.population.processes import Counter, Shard, run_shards
from kd_uncertainty.population.seeds import derive_seed

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["SCHEMA", "AnswerJob", "read_responses", "response_tables", "run"]

FORMAT_VERSION = 1
"""Raise when the arithmetic or the content of shards changes, so that old shards no longer count."""


class _Models(NamedTuple):
    tokenizer: PreTrainedTokenizerBase
    sampler: PreTrainedModel
    scorer: PreTrainedModel | None


@dataclass(frozen=True, eq=False)
class AnswerJob:
    """Everything that the teacher's answers depend on, cut into shards of prompts.

    Attributes:
        prompts: of ``read_prompts``; columns prompt and text.
        options: of the responses; the embedding is not used here.
    """

    prompts: pd.DataFrame
    options: LanguageResponsesOptions
    _kept: dict[torch.device, _Models] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, prompts: pd.DataFrame, options: LanguageResponsesOptions) -> Self:
        """Return the job for all of these prompts."""
        return cls(prompts[["prompt", "text"]].reset_index(drop=True), options)

    @property
    def num_shards(self) -> int:
        """Shards in all."""
        return math.ceil(len(self.prompts) / self.options.shard_size)

    def rows(self, index: int) -> pd.DataFrame:
        """Return the prompts of one shard."""
        return self.prompts.iloc[index * self.options.shard_size : (index + 1) * self.options.shard_size]

    def identity(self) -> str:
        """Return a SHA-256 of all content, as 64 hexadecimal digits: prompts, options, weights and library versions."""
        settings = {
            "format_version": FORMAT_VERSION,
            "options": self.options.model_dump(mode="json", exclude={"embedding"}),
            "model": model_token(self.options.model),
            "versions": [torch.__version__, import_transformers().__version__],
            "prompts": [self.prompts["prompt"].tolist(), self.prompts["text"].tolist()],
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def check(self) -> None:
        """Check, before any work, that the tokenizer can be loaded and every prompt with its answer fits the context.

        Raises:
            UserError: if not.
        """
        tokenizer = load_tokenizer(self.options.model)
        self._check_lengths(encode(tokenizer, self._texts(self.prompts)), stated_context_length(self.options.model))

    def compute(self, index: int, device: torch.device, on_progress: Callable[[int], None]) -> dict[str, Tensor]:
        """Sample the answers to one shard's prompts.

        Args:
            index: which shard.
            device: where to sample.
            on_progress: told of tokens as they are sampled.

        Returns:
            "prompts" (prompts,) int64, their numbers; "token_ids" (prompts, draws, tokens) int32, -1 after the end;
            "log_probs", "entropy" and "tail_mass" in the same shape, float32, nats, NaN after the end; "top_ids" and
            "top_log_probs" with an axis of K more; "finished" (prompts, draws).

        Raises:
            UserError: if the model cannot be loaded.
        """
        models, rows, options = self._models(device), self.rows(index), self.options
        texts = self._texts(rows)
        seeds = [[derive_seed(options.seed, "response", prompt, draw) for draw in range(options.num_draws)]
                 for prompt in rows["prompt"]]  # fmt: skip
        answers = sample_answers(
            models.sampler,
            models.tokenizer,
            texts,
            seeds,
            options.sampling,
            batch_size=options.sampling.batch_size,
            top_log_probs=None if models.scorer else options.top_log_probs,
            on_tokens=on_progress,
        )
        if models.scorer is not None:
            answers = self._rescored(models.scorer, encode(models.tokenizer, texts), answers)
        return {"prompts": torch.tensor(rows["prompt"].to_numpy(np.int64)), **_stacked(answers)}

    def _texts(self, rows: pd.DataFrame) -> list[str]:
        return [self.options.preamble + text for text in rows["text"]]

    def _check_lengths(self, ids: Sequence[Sequence[int]], context: int) -> None:
        most = context - self.options.sampling.max_new_tokens
        for prompt, tokens in zip(self.prompts["prompt"], ids, strict=True):
            if not tokens:
                raise UserError(f"prompt {prompt} has no tokens; check language.ingestion.template")
            if len(tokens) > most:
                raise UserError(
                    f"prompt {prompt} has {len(tokens)} tokens with the preamble, and the model reads {most} before an "
                    f"answer of up to {self.options.sampling.max_new_tokens}; shorten it, language.responses.preamble "
                    "or language.responses.sampling.max_new_tokens"
                )

    def _rescored(
        self, model: PreTrainedModel, ids: list[list[int]], answers: list[list[Sampled]]
    ) -> list[list[Sampled]]:
        flat = [(ids[prompt], answer.token_ids.tolist()) for prompt, own in enumerate(answers) for answer in own]
        size, top = self.options.sampling.batch_size, self.options.top_log_probs
        scores = iter(score(model, *map(list, zip(*flat, strict=True)), batch_size=size, top_log_probs=top))
        return [[answer._replace(**next(scores)._asdict()) for answer in own] for own in answers]

    def _models(self, device: torch.device) -> _Models:
        """Load what is needed, once a process and device."""
        if device not in self._kept:
            self._kept[device] = _load(self.options, device)
        return self._kept[device]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": {}}  # every process loads its own


def run(
    job: AnswerJob,
    indices: Iterable[int] | None = None,
    *,
    workers: int = 1,
    device: torch.device | None = None,
    progress: bool = True,
) -> Iterator[Shard]:
    """Sample shards and yield each as ``(index, tensors)`` when it is finished, in any order.

    Args:
        job: the answers.
        indices: shards to sample, such as ``ShardStore.missing()``; all by default.
        workers: processes, each with its own copy of the model; on a GPU, which they would share, it is this one.
        device: where to sample; the CPU by default.
        progress: show a progress bar, in tokens; how many there will be is estimated from those so far.

    Raises:
        UserError: if the job cannot be run or a worker process dies.
    """
    device = device or torch.device("cpu")
    wanted = list(range(job.num_shards) if indices is None else indices)
    if not wanted:
        return
    job.check()
    processes = workers if device.type == "cpu" else 1
    answers = sum(len(job.rows(index)) for index in wanted) * job.options.num_draws
    done = tokens = 0
    total = answers * job.options.sampling.max_new_tokens
    with tqdm(total=total, unit="token", desc="answers", disable=not progress) as bar:
        mend = "execution.workers or language.responses.sampling.batch_size"
        compute = partial(_compute, job, device)
        for index, tensors in run_shards(compute, wanted, processes, Counter(bar), doing="sampled answers", mend=mend):
            done += tensors["finished"].numel()
            tokens += int((tensors["token_ids"] != NO_TOKEN).sum())
            bar.total = max(bar.n, round(tokens / done * answers))
            yield index, tensors


def _compute(job: AnswerJob, device: torch.device, index: int, on_progress: Callable[[int], None]) -> dict[str, Tensor]:
    return job.compute(index, device, on_progress)


def stated_context_length(options: ModelOptions) -> int:
    """Return the tokens that a model sees, from its configuration alone: the weights may be large."""
    if options.name == TINY:
        return CONTEXT
    load = import_transformers().AutoConfig.from_pretrained
    what = f"configuration of the model '{options.name}'"
    return context_length(from_pretrained(load, find_weights(options.name), what=what, revision=options.revision))


def _load(options: LanguageResponsesOptions, device: torch.device) -> _Models:
    """Load the tokenizer, the model that samples and one in float32 that scores, reading weights once if possible."""
    tokenizer, model = load_tokenizer(options.model), options.model
    if not options.rescore or model.dtype == "float32":
        return _Models(tokenizer, load_model(model, device), None)
    scorer = load_model(model, device, torch.float32)
    if model.device_map is not None or model.dtype == "auto":
        return _Models(tokenizer, load_model(model, device), scorer)
    return _Models(tokenizer, _in_precision(scorer, getattr(torch, model.dtype)), scorer)


def _in_precision(model: PreTrainedModel, dtype: torch.dtype) -> PreTrainedModel:
    """Copy a model with parameters of another type; buffers, such as rotary frequencies, stay as they are."""
    copied = copy.deepcopy(model)
    for parameter in copied.parameters():
        parameter.data = parameter.data.to(dtype)
    return copied


def _stacked(answers: list[list[Sampled]]) -> dict[str, Tensor]:
    """Pad answers to the longest of them: arrays (prompts, draws, tokens, ...)."""
    longest = max(len(answer.token_ids) for own in answers for answer in own)
    finished = torch.tensor([[answer.finished for answer in own] for own in answers])
    stacked = {"finished": finished}
    for name in TOKENS:
        first = getattr(answers[0][0], name)
        empty = NO_TOKEN if first.dtype == np.int32 else np.nan
        values = np.full((*finished.shape, longest, *first.shape[1:]), empty, dtype=first.dtype)
        for row, own in zip(values, answers, strict=True):
            for place, answer in zip(row, own, strict=True):
                place[: len(answer.token_ids)] = getattr(answer, name)
        stacked[name] = torch.from_numpy(values)
    return stacked
