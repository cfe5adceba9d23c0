"""Soft labels as arrays, checked against the task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray
from scipy.special import softmax

from kd_uncertainty.soft_labels.columns import standard_table
from kd_uncertainty.soft_labels.mapped import SoftLabelFile, select
from kd_uncertainty.soft_labels.values import (
    check_classes,
    check_unique,
    checked_logits,
    positions_of,
    raw_values,
    whose,
)

Source: TypeAlias = pa.Table | pd.DataFrame | SoftLabelFile
"""What soft labels are read from."""
_BLOCK = 1 << 18
"""Logits softened at once, 2 MiB of float64."""


@dataclass(frozen=True)
class SoftLabels:
    """Posterior logits, in memory or memory-mapped.

    Attributes:
        example_ids: ``(examples,)`` int64, in increasing order.
        logits: for each teacher ``(examples, draws, classes)`` float32; teachers may differ in their number of draws.
            Arrays, or ``MappedRows``, which have the shape, the type and the indexing of arrays.
    """

    example_ids: NDArray[np.int64]
    logits: Mapping[str, NDArray[np.float32]]

    @property
    def teachers(self) -> list[str]:
        """Names of the teachers, in the file's order."""
        return list(self.logits)

    def mean_probabilities(self, teacher: str) -> NDArray[np.float64]:
        """Mean over draws of the softmax probabilities, ``(examples, classes)``: the posterior predictive."""
        logits = self.logits[teacher]
        means = np.empty((logits.shape[0], logits.shape[2]))
        block = max(_BLOCK // (logits.shape[1] * logits.shape[2]), 1)
        for start in range(0, len(means), block):  # some rows at a time, because all may be more than fits into memory
            rows = logits[start : start + block].astype(np.float64)
            means[start : start + block] = softmax(rows, axis=-1).mean(axis=1)
        return means

    def rows(self, example_ids: NDArray[np.int64]) -> SoftLabels:
        """The given examples only, in the given order."""
        index = np.searchsorted(self.example_ids, example_ids)
        return SoftLabels(example_ids, {teacher: select(values, index) for teacher, values in self.logits.items()})


def num_draws(data: Source) -> dict[str, int]:
    """Posterior draws of each teacher in a soft-label table, teachers in the order in which they first appear.

    Raises:
        UserError: if there are no soft labels in the table, or its identifiers or names cannot be used.
    """
    if isinstance(data, SoftLabelFile):
        return {teacher: store.shape[1] for teacher, store in data.stores().items()}
    table, column = standard_table(data)
    draws: dict[str, int] = {}
    for row, name in enumerate(table.column("teacher").to_pylist()):
        if name not in draws:
            draws[name] = raw_values(table.slice(row, 1), column, whose(name)).shape[1]
    return draws


def read_soft_labels(data: Source, example_ids: NDArray[np.int64], num_classes: int) -> SoftLabels:
    """Check a soft-label table against the task and bring it into arrays, rows in the order of ``example_ids``.

    Columns: ``example_id``, integers; ``logits``, or ``probabilities`` in its place, as draws x classes (one flat list
    of classes counts as one draw), or packed ``log_probabilities``; and ``teacher``, which may be left out if there is
    one. Rows of other examples are ignored. Those of a ``SoftLabelFile`` stay on disk.

    Raises:
        UserError: if a column or an example is missing or doubled, an identifier is no integer or a teacher's name
            cannot be used, the number of classes differs, a value is not finite (or, for probabilities, not a
            distribution), or packed cells come without the metadata that say how to decode them.
    """
    if isinstance(data, SoftLabelFile):
        return SoftLabels(example_ids, data.logits(example_ids, num_classes))
    table, column = standard_table(data)
    logits = {}
    for name in table.column("teacher").unique().to_pylist():
        rows = table.filter(pa.compute.equal(table.column("teacher"), name))
        logits[name] = _teacher_logits(name, rows, column, example_ids, num_classes)
    return SoftLabels(example_ids, logits)


def _teacher_logits(
    name: str, table: pa.Table, column: str, example_ids: NDArray[np.int64], num_classes: int
) -> NDArray[np.float32]:
    where = whose(name)
    found = table.column("example_id").to_numpy()
    check_unique(found, where)
    position = positions_of(example_ids, found, where)
    values = raw_values(table, column, where)[position]
    check_classes(values.shape[-1], num_classes, where)
    return checked_logits(values, column, example_ids, where)
