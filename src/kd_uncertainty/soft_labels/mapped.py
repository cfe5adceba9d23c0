"""Soft labels that stay on disk: rows of a sidecar with the shape, the type and the indexing of an array in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.soft_labels.building import teachers_in
from kd_uncertainty.soft_labels.sidecar import SoftLabelStore
from kd_uncertainty.soft_labels.values import check_classes, whose


class MappedRows:
    """Some rows of a store in an order of one's own; nothing is read before it is indexed.

    Attributes:
        shape: examples, draws, classes.
        dtype: float32.
    """

    dtype = np.dtype(np.float32)
    ndim = 3

    def __init__(self, store: SoftLabelStore, positions: NDArray[np.int64]) -> None:
        self._store, self._positions = store, positions
        self.shape = (len(positions), *store.shape[1:])

    def __len__(self) -> int:
        return len(self._positions)

    def __getitem__(self, key: Any) -> NDArray[np.float32]:
        """As of an array, as a copy; rows first, then draws and classes (arrays of both are crossed, not paired)."""
        rows, *others = key if isinstance(key, tuple) else (key,)
        values = self._store.log_probabilities[self._positions[rows]]
        if others:
            values = values[(slice(None),) * (values.ndim - 2) + tuple(others)]
        return np.asarray(values, dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """All rows in memory."""
        return np.asarray(self[:], dtype=dtype)

    def select(self, index: NDArray[np.int64]) -> MappedRows:
        """Rows of these rows, not read either."""
        return MappedRows(self._store, self._positions[index])


def select(values: NDArray[np.float32] | MappedRows, index: NDArray[np.int64]) -> NDArray[np.float32]:
    """Rows of an array, or of mapped rows, which stay on disk."""
    return _as_array_type(values.select(index)) if isinstance(values, MappedRows) else values[index]


@dataclass(frozen=True)
class SoftLabelFile:
    """A Parquet file of soft labels that is read through its sidecar, in float32, and need not fit into memory.

    Attributes:
        path: the file.
    """

    path: Path

    def stores(self) -> dict[str, SoftLabelStore]:
        """Each teacher's store; sidecars are built if need be.

        Raises:
            UserError: if the file is missing or its soft labels cannot be used.
        """
        return {name: SoftLabelStore.open(self.path, name, precision="float32") for name in teachers_in(self.path)}

    def logits(self, example_ids: NDArray[np.int64], num_classes: int) -> dict[str, NDArray[np.float32]]:
        """Each teacher's log-probabilities of the given examples, unread.

        Raises:
            UserError: as ``stores``, and if an example is missing or the number of classes differs.
        """
        found = {}
        for name, store in self.stores().items():
            rows = MappedRows(store, store.positions(example_ids))
            check_classes(store.shape[2], num_classes, whose(name))
            found[name] = _as_array_type(rows)
        return found


def _as_array_type(rows: MappedRows) -> NDArray[np.float32]:
    """The type that its users know: all that they ask of it is shape, dtype and indexing."""
    return cast(NDArray[np.float32], rows)
