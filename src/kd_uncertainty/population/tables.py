"""A population's shards as tables: predictions and learning curves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

PREDICTIONS = pa.schema(
    [("student", pa.int64()), ("example_id", pa.int64()), ("split", pa.string()), ("logits", pa.list_(pa.float32()))]
)


def prediction_tables(
    shards: Iterable[Mapping[str, Tensor]], example_ids: NDArray[np.int64], splits: NDArray[np.object_]
) -> Iterator[pa.Table]:
    """One table a shard, rows ordered by student, then by example.

    Args:
        shards: with ``students (s,)`` and ``logits (s, examples, classes)``.
        example_ids: ``(examples,)``, in the order of the logits.
        splits: ``(examples,)``, the split of each.
    """
    for shard in shards:
        students, examples, classes = shard["logits"].shape
        offsets = pa.array(np.arange(students * examples + 1, dtype=np.int64) * classes, type=pa.int32())
        columns = [
            pa.array(np.repeat(shard["students"].numpy(), examples)),
            pa.array(np.tile(example_ids, students)),
            pa.array(np.tile(splits, students), type=pa.string()),
            pa.ListArray.from_arrays(offsets, pa.array(shard["logits"].contiguous().numpy().ravel())),
        ]
        yield pa.Table.from_arrays(columns, schema=PREDICTIONS)


def student_parameters(shards: Iterable[Mapping[str, Tensor]], student: int) -> dict[str, Tensor]:
    """One student's parameters and buffers by name.

    Raises:
        KeyError: if no shard holds the student.
    """
    prefix = "parameters/"
    for shard in shards:
        found = (shard["students"] == student).nonzero()
        if len(found):
            return {
                name.removeprefix(prefix): values[int(found[0])].clone()
                for name, values in shard.items()
                if name.startswith(prefix)
            }
    raise KeyError(f"student {student} is in no shard")


def curve_table(shards: Iterable[Mapping[str, Tensor]]) -> pd.DataFrame:
    """Mean training loss of every student and epoch, in the loss's unit; epochs count from 1."""
    parts = [pd.DataFrame({"student": np.empty(0, np.int64), "epoch": np.empty(0, np.int64), "train_loss": []})]
    for shard in shards:
        students, epochs = shard["losses"].shape
        parts.append(
            pd.DataFrame(
                {
                    "student": np.repeat(shard["students"].numpy(), epochs),
                    "epoch": np.tile(np.arange(1, epochs + 1), students),
                    "train_loss": shard["losses"].double().numpy().ravel(),
                }
            )
        )
    return pd.concat(parts[1:] or parts, ignore_index=True)
