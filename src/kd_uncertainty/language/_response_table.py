"""The table of responses: what is in it, and what is asked of one that someone else made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.generation import decode
from kd_uncertainty.population.shards import ShardStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCHEMA = pa.schema(
    [
        ("prompt", pa.int64()),
        ("split", pa.string()),
        ("draw", pa.int64()),
        ("answer", pa.string()),
        ("token_ids", pa.list_(pa.int32())),
        ("log_probs", pa.list_(pa.float32())),
        ("entropy", pa.list_(pa.float32())),
        ("tail_mass", pa.list_(pa.float32())),
        ("top_ids", pa.list_(pa.list_(pa.int32()))),
        ("top_log_probs", pa.list_(pa.list_(pa.float32()))),
        ("finished", pa.bool_()),
    ]
)
"""Of the responses table, one row a prompt and draw; the lists have one entry a token, natural logarithms."""

TOKENS = "token_ids", "log_probs", "entropy", "tail_mass", "top_ids", "top_log_probs"
"""Columns with one entry a token."""
NO_TOKEN = -1
"""Stands in a shard's token ids after the end of an answer."""


def response_tables(
    store: ShardStore, prompts: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the responses of ``SCHEMA``, one table a shard.

    Args:
        store: shards of ``AnswerJob.compute``.
        prompts: columns prompt and split.
        tokenizer: of the model that answered.
        stop: texts that end an answer.
    """
    splits = dict(zip(prompts["prompt"], prompts["split"], strict=True))
    for shard in store:
        numbers, (_, draws) = shard["prompts"].tolist(), shard["finished"].shape
        within = (shard["token_ids"] != NO_TOKEN).flatten(0, 1)
        tokens = {name: [row[own].tolist() for row, own in zip(shard[name].flatten(0, 1), within, strict=True)]
                  for name in TOKENS}  # fmt: skip
        columns = {
            "prompt": np.repeat(numbers, draws),
            "split": [splits[number] for number in numbers for _ in range(draws)],
            "draw": np.tile(np.arange(draws), len(numbers)),
            "answer": decode(tokenizer, tokens["token_ids"], stop),
            "finished": shard["finished"].flatten().tolist(),
        }
        yield pa.table(columns | tokens, schema=SCHEMA)


def read_responses(table: pd.DataFrame | pa.Table, prompts: pd.DataFrame) -> pd.DataFrame:
    """Check a table of responses against the prompts, and return it ordered by prompt and draw.

    Needed are the columns prompt (as numbered in ``prompts``), draw (from 0) and answer, as in a file of answers from
    an API. All others stay as they are; the split is that of the prompts. Empty answers are answers if ``token_ids``
    shows that a model gave them, and otherwise taken for missing ones.

    Args:
        table: one row a prompt and draw, in any order.
        prompts: columns prompt and split.

    Raises:
        UserError: if a column, answer or prompt is missing, a prompt is not known, or draws are not numbered from 0 to
            the same number for every prompt.
    """
    frame = table.to_pandas() if isinstance(table, pa.Table) else table
    if missing := [name for name in ("prompt", "draw", "answer") if name not in frame]:
        raise UserError(f"responses: the column {missing[0]} is missing; needed are prompt, draw and answer")
    if frame.empty:
        raise UserError("responses: there are none; give at least one answer to every prompt")
    frame = frame.assign(**{name: _whole_numbers(frame[name], name) for name in ("prompt", "draw")})
    frame = frame.sort_values(["prompt", "draw"], ignore_index=True)
    frame["answer"] = _answers(frame)
    _check_draws(frame, prompts)
    splits = dict(zip(prompts["prompt"], prompts["split"], strict=True))
    columns = list(dict.fromkeys(["prompt", "split", "draw", "answer", *frame.columns]))
    return frame.assign(split=[splits[prompt] for prompt in frame["prompt"]])[columns]


def _whole_numbers(values: pd.Series[int], name: str) -> pd.Series[int]:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    wrong = numbers.isna() | (numbers % 1 != 0)
    if wrong.any():
        raise UserError(f"responses: {name} must be a whole number, not '{values[wrong].iloc[0]}'; number them from 0")
    return numbers.astype("int64")


def _answers(frame: pd.DataFrame) -> list[str]:
    answers = frame["answer"]
    empty = answers.isna()
    if "token_ids" not in frame:
        empty |= answers.astype("str").str.strip() == ""
    if empty.any():
        row = frame[empty].iloc[0]
        raise UserError(
            f"responses: the answer to prompt {row['prompt']}, draw {row['draw']}, is empty; sample it again, or leave "
            "out the last draw of every prompt until none is empty"
        )
    return [str(answer) for answer in answers]


def _check_draws(frame: pd.DataFrame, prompts: pd.DataFrame) -> None:
    """Check that every prompt has the draws 0, 1, ... once, as many as any other; the frame is sorted by both."""
    known = prompts["prompt"].to_numpy()
    if len(unknown := np.setdiff1d(frame["prompt"], known)):
        raise UserError(
            f"responses: prompt {unknown[0]} is not one of the {len(known)} prompts, which are numbered from "
            f"{known.min()} to {known.max()}; take the numbers from the table of prompts"
        )
    counts = frame.groupby("prompt").size().reindex(known, fill_value=0)
    if (counts != (most := counts.max())).any():
        raise UserError(
            f"responses: prompt {counts.idxmin()} has {counts.min()} draws and prompt {counts.idxmax()} has {most}; "
            "give the same number of answers to every prompt"
        )
    wrong = frame["draw"].to_numpy() != np.tile(np.arange(most), len(known))
    if wrong.any():
        raise UserError(
            f"responses: the draws of prompt {frame['prompt'][wrong.argmax()]} are not numbered from 0 to {most - 1}, "
            "each once; number the answers to every prompt from 0"
        )
