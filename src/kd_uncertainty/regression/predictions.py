"""Predictions of linear students and networks as one table, in the units of the source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.regression.linear import predict_linear_students
from kd_uncertainty.regression.responses import Floats
from kd_uncertainty.regression.teachers import Scale

PREDICTIONS = pa.schema(
    [("student", pa.int64()), ("example_id", pa.int64()), ("split", pa.string()), ("prediction", pa.float64())]
)
_LINEAR_AT_ONCE = 512


def value_prediction_tables(
    shards: Iterable[Mapping[str, Tensor]],
    linear_students: pd.DataFrame,
    inputs: Floats,
    example_ids: NDArray[np.int64],
    splits: NDArray[np.object_],
    scale: Scale,
) -> Iterator[pa.Table]:
    """Some hundred students a table, rows ordered by student, then by example.

    Args:
        shards: of networks, with ``students (s,)`` and ``logits (s, examples, 1)`` on scaled targets.
        linear_students: student and parameters.
        inputs: (examples, features) of all examples.
        example_ids: (examples,), their identifiers in increasing order.
        splits: (examples,), the split of each.
        scale: of the targets.
    """
    for start in range(0, len(linear_students), _LINEAR_AT_ONCE):
        some = linear_students.iloc[start : start + _LINEAR_AT_ONCE]
        yield _table(some["student"].to_numpy(), predict_linear_students(some, inputs), example_ids, splits)
    for shard in shards:
        outputs = shard["logits"][..., 0].double().numpy()
        yield _table(shard["students"].numpy(), scale.unscaled(outputs), example_ids, splits)


def _table(
    students: NDArray[np.int64], values: Floats, example_ids: NDArray[np.int64], splits: NDArray[np.object_]
) -> pa.Table:
    columns = [
        pa.array(np.repeat(students, len(example_ids))),
        pa.array(np.tile(example_ids, len(students))),
        pa.array(np.tile(splits, len(students)), type=pa.string()),
        pa.array(np.ascontiguousarray(values).ravel()),
    ]
    return pa.Table.from_arrays(columns, schema=PREDICTIONS)
