"""Tables of what students say and of how they learnt, from their shards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa

from kd_uncertainty.language._response_table import NO_TOKEN
from kd_uncertainty.language.generation import decode
from kd_uncertainty.population.shards import ShardStore

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCHEMA = pa.schema(
    [
        ("student", pa.int64()),
        ("prompt", pa.int64()),
        ("split", pa.string()),
        ("sample", pa.int64()),
        ("answer", pa.string()),
        ("num_tokens", pa.int64()),
        ("log_prob", pa.float32()),
        ("entropy", pa.float32()),
        ("finished", pa.bool_()),
    ]
)
"""One row a student, prompt and sampled answer; log_prob is the sum over its tokens and entropy the mean of the exact
entropies of their distributions, in nats."""


def answer_tables(
    store: ShardStore, prompts: pd.DataFrame, tokenizer: PreTrainedTokenizerBase, stop: Sequence[str]
) -> Iterator[pa.Table]:
    """Yield the students' answers of ``SCHEMA``, one table a student.

    Args:
        store: shards of ``StudentJob.compute``.
        prompts: as the students were asked, columns prompt and split.
        tokenizer: the students'.
        stop: texts that end an answer.
    """
    numbers, splits = prompts["prompt"].to_numpy(), prompts["split"].to_numpy(object)
    for shard in store:
        ids = shard["answer_ids"][0]
        asked, samples = ids.shape[:2]
        within = ids != NO_TOKEN
        rows = [row[own].tolist() for row, own in zip(ids.flatten(0, 1), within.flatten(0, 1), strict=True)]
        yield pa.table(
            {
                "student": np.full(asked * samples, int(shard["students"][0])),
                "prompt": np.repeat(numbers, samples),
                "split": pa.array(np.repeat(splits, samples), pa.string()),
                "sample": np.tile(np.arange(samples), asked),
                "answer": decode(tokenizer, rows, stop),
                "num_tokens": within.sum(dim=-1).flatten().numpy(),
                "log_prob": shard["log_probs"][0].nansum(dim=-1).flatten().numpy(),
                "entropy": shard["entropy"][0].nanmean(dim=-1).flatten().numpy(),
                "finished": shard["finished"][0].flatten().numpy(),
            },
            schema=SCHEMA,
        )


def curve_table(store: ShardStore) -> pd.DataFrame:
    """Return the training loss of every student: student, epoch (the step, from 1), train_loss in nats a token."""
    curves = [(int(shard["students"][0]), shard["losses"][0].double().numpy()) for shard in store]
    return pd.DataFrame(
        {
            "student": np.repeat([student for student, _ in curves], [len(losses) for _, losses in curves]),
            "epoch": np.concatenate([np.arange(1, len(losses) + 1) for _, losses in curves]),
            "train_loss": np.concatenate([losses for _, losses in curves]),
        }
    )
