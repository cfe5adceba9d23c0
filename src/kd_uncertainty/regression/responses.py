"""The responses of regression teachers as a table: their mean and posterior draws for every example."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.table import METADATA_KEY

FORMAT_VERSION = 1

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ValueResponses:
    """What teachers say about each example, in the units of the source.

    Attributes:
        example_ids: (examples,) in increasing order.
        means: teacher -> (examples,), what noisy responses scatter around.
        draws: teacher -> (examples, draws), draws of its posterior.
    """

    example_ids: NDArray[np.int64]
    means: Mapping[str, Floats]
    draws: Mapping[str, Floats]

    @property
    def num_draws(self) -> dict[str, int]:
        """Cached draws of each teacher."""
        return {name: values.shape[1] for name, values in self.draws.items()}

    def rows(self, example_ids: NDArray[np.int64]) -> ValueResponses:
        """Return those of some examples, in their order."""
        places = np.searchsorted(self.example_ids, example_ids)
        return ValueResponses(
            example_ids,
            {name: values[places] for name, values in self.means.items()},
            {name: values[places] for name, values in self.draws.items()},
        )


def value_schema(metadata: Mapping[str, Any]) -> pa.Schema:
    """Columns of the table, with ``metadata`` as JSON under the key ``kd_uncertainty``."""
    columns = [
        ("teacher", pa.string()),
        ("example_id", pa.int64()),
        ("mean", pa.float64()),
        ("draws", pa.list_(pa.float64())),
    ]
    content = "mean and posterior draws of a real-valued prediction, in the units of the source's target"
    described = {"format_version": FORMAT_VERSION, "content": content, **metadata}
    return pa.schema(columns, metadata={METADATA_KEY: json.dumps(described)})


def value_table(
    teacher: str, example_ids: NDArray[np.int64], means: Floats, draws: Floats, schema: pa.Schema
) -> pa.Table:
    """Return one batch of rows from means (examples,) and draws (draws, examples)."""
    count, examples = draws.shape
    offsets = pa.array(np.arange(examples + 1, dtype=np.int64) * count, type=pa.int32())
    values = pa.ListArray.from_arrays(offsets, pa.array(np.ascontiguousarray(draws.T).ravel()))
    names = pa.array([teacher] * examples, type=pa.string())
    return pa.Table.from_arrays([names, pa.array(example_ids), pa.array(means), values], schema=schema)


def read_values(table: pa.Table, example_ids: NDArray[np.int64]) -> ValueResponses:
    """Read and check a table of responses, by this project's own stage or somebody else's.

    Args:
        table: columns teacher, example_id, mean and draws (a list of equal length in every row of a teacher).
        example_ids: the examples that must be there, in increasing order; others are ignored.

    Raises:
        UserError: if a column is missing, an example is missing or there twice, draws differ in number, or a value is
            not finite.
    """
    for column in ("teacher", "example_id", "mean", "draws"):
        if column not in table.column_names:
            raise UserError(f"responses: column '{column}' is missing (columns: {', '.join(table.column_names)})")
    names = table.column("teacher").to_pandas().to_numpy(object)
    ids = table.column("example_id").to_numpy()
    if len(names) == 0:
        raise UserError("responses: the table has no rows; give it one for each teacher and example")
    means: dict[str, Floats] = {}
    draws: dict[str, Floats] = {}
    for name in dict.fromkeys(names):
        rows = np.flatnonzero(names == name)
        rows = rows[np.isin(ids[rows], example_ids)]
        rows = rows[np.argsort(ids[rows], kind="stable")]
        _check_ids(str(name), ids[rows], example_ids)
        chosen = table.take(pa.array(rows))
        means[str(name)] = _finite(str(name), chosen.column("mean").to_numpy().astype(np.float64))
        draws[str(name)] = _finite(str(name), _matrix(str(name), chosen.column("draws")))
    return ValueResponses(example_ids, means, draws)


def _check_ids(teacher: str, found: NDArray[np.int64], wanted: NDArray[np.int64]) -> None:
    doubled = found[1:][np.diff(found) == 0]
    if len(doubled):
        raise UserError(f"responses: teacher '{teacher}' has example {doubled[0]} twice; give every example once")
    missing = np.setdiff1d(wanted, found)
    if len(missing):
        raise UserError(
            f"responses: teacher '{teacher}' lacks {len(missing)} of {len(wanted)} examples (the first is example_id "
            f"{missing[0]}); give every teacher a row for every example"
        )


def _matrix(teacher: str, column: pa.ChunkedArray) -> Floats:
    lengths = pa.compute.list_value_length(column).to_numpy()
    if len(lengths) and (lengths != lengths[0]).any():
        raise UserError(f"responses: teacher '{teacher}' has rows with different numbers of draws; make them equal")
    flat = column.combine_chunks().flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    return np.asarray(flat.reshape(len(lengths), -1))


def _finite(teacher: str, values: Floats) -> Floats:
    if not np.isfinite(values).all():
        raise UserError(f"responses: teacher '{teacher}' has values that are missing or infinite; fill or remove them")
    return values
