"""The soft-label cache: posterior logits of every example, draws by classes, in a Parquet file that explains itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
import torch
from numpy.typing import NDArray
from scipy.special import softmax

from kd_uncertainty.errors import UserError

FORMAT_VERSION = 1
METADATA_KEY = b"kd_uncertainty"
NAMELESS = "teacher"
"""What the one teacher of a table without a teacher column is called."""
RESERVED = "none"
"""What plans call the teacher of students that have none."""
_LOGITS = pa.list_(pa.list_(pa.float32()))


@dataclass(frozen=True)
class SoftLabels:
    """Posterior logits in memory.

    Attributes:
        example_ids: ``(examples,)`` int64, in increasing order.
        logits: for each teacher ``(examples, draws, classes)`` float32; teachers may differ in their number of draws.
    """

    example_ids: NDArray[np.int64]
    logits: Mapping[str, NDArray[np.float32]]

    @property
    def teachers(self) -> list[str]:
        """Names of the teachers, in the file's order."""
        return list(self.logits)

    def mean_probabilities(self, teacher: str) -> NDArray[np.float64]:
        """Mean over draws of the softmax probabilities, ``(examples, classes)``: the posterior predictive."""
        return np.asarray(softmax(self.logits[teacher].astype(np.float64), axis=-1).mean(axis=1))

    def rows(self, example_ids: NDArray[np.int64]) -> SoftLabels:
        """The given examples only, in the given order."""
        index = np.searchsorted(self.example_ids, example_ids)
        return SoftLabels(example_ids, {teacher: values[index] for teacher, values in self.logits.items()})


def response_schema(metadata: Mapping[str, Any]) -> pa.Schema:
    """Columns of the file, with ``metadata`` as JSON under the key ``kd_uncertainty``."""
    columns = [("teacher", pa.string()), ("example_id", pa.int64()), ("logits", _LOGITS)]
    return pa.schema(columns, metadata={METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION, **metadata})})


def response_table(teacher: str, example_ids: NDArray[np.int64], logits: torch.Tensor, schema: pa.Schema) -> pa.Table:
    """One batch of rows from logits ``(draws, examples, classes)``."""
    draws, examples, classes = logits.shape
    flat = pa.array(logits.transpose(0, 1).contiguous().cpu().numpy().ravel(), type=pa.float32())
    per_draw = pa.ListArray.from_arrays(_offsets(examples * draws, classes), flat)
    per_example = pa.ListArray.from_arrays(_offsets(examples, draws), per_draw)
    names = pa.array([teacher] * examples, type=pa.string())
    return pa.Table.from_arrays([names, pa.array(example_ids), per_example], schema=schema)


def _offsets(count: int, width: int) -> pa.Array:
    return pa.array(np.arange(count + 1, dtype=np.int64) * width, type=pa.int32())


def batches(example_ids: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Slices of at most ``size`` examples that cover all of them in order."""
    return (slice(start, start + size) for start in range(0, len(example_ids), size))


def num_draws(data: pa.Table | pd.DataFrame) -> dict[str, int]:
    """Posterior draws of each teacher in a soft-label table, teachers in the order in which they first appear.

    Raises:
        UserError: if there are no soft labels in the table, or its identifiers or names cannot be used.
    """
    table, column = _soft_label_table(data)
    draws: dict[str, int] = {}
    for row, name in enumerate(table.column("teacher").to_pylist()):
        if name not in draws:
            first = _as_array(table.column(column).slice(row, 1).combine_chunks(), f"soft labels of teacher '{name}'")
            draws[name] = first.shape[1]
    return draws


def read_soft_labels(data: pa.Table | pd.DataFrame, example_ids: NDArray[np.int64], num_classes: int) -> SoftLabels:
    """Check a soft-label table against the task and bring it into arrays, rows in the order of ``example_ids``.

    Columns: ``example_id``, integers; ``logits``, or ``probabilities`` in its place, as draws x classes (one flat list
    of classes counts as one draw); and ``teacher``, which may be left out if there is one. Rows of other examples are
    ignored.

    Raises:
        UserError: if a column or an example is missing or doubled, an identifier is no integer or a teacher's name
            cannot be used, the number of classes differs, or a value is not finite (or, for probabilities, not a
            distribution).
    """
    table, column = _soft_label_table(data)
    logits = {}
    for name in table.column("teacher").unique().to_pylist():
        rows = table.filter(pa.compute.equal(table.column("teacher"), name))
        logits[name] = _teacher_logits(name, rows, column, example_ids, num_classes)
    return SoftLabels(example_ids, logits)


def _soft_label_table(data: pa.Table | pd.DataFrame) -> tuple[pa.Table, str]:
    """The table with integer identifiers and named teachers, and the name of the column that holds its values."""
    table = data if isinstance(data, pa.Table) else _to_arrow(data)
    column = "logits" if "logits" in table.column_names else "probabilities"
    for needed in ("example_id", column):
        if needed not in table.column_names:
            raise UserError(
                f"soft labels: column '{needed if needed == 'example_id' else 'logits'}' is missing "
                f"(columns: {', '.join(table.column_names)})"
            )
    for doubled in {"example_id", "teacher", column}:
        if table.column_names.count(doubled) > 1:
            raise UserError(f"soft labels: column '{doubled}' is there twice; remove or rename one")
    if "teacher" not in table.column_names:
        table = table.append_column("teacher", pa.array([NAMELESS] * len(table)))
    if not len(table):
        raise UserError("soft labels: the table is empty")
    for name, converted in (
        ("example_id", _integers(table.column("example_id"))),
        ("teacher", _names(table.column("teacher"))),
    ):
        table = table.set_column(table.column_names.index(name), name, converted)
    return table, column


def _integers(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Identifiers as int64: any integers, and whole numbers of another type, such as pandas makes of a column."""
    values = _plain(values, "example_id", "the position of its example's row in the source table")
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)):
        raise UserError(
            f"soft labels: column 'example_id' is of type {str(kind).removeprefix('large_')} and needs integers: the "
            "position of each example's row in the source table, from 0"
        )
    try:
        return values.cast(pa.int64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(
            "soft labels: column 'example_id' needs integers, and not all of its numbers are whole and within 64 bits"
        ) from error


def _names(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Teachers' names as text that can stand in a plan, a file and a table."""
    values = _plain(values, "teacher", "the name of its teacher")
    try:
        names = values.cast(pa.string())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise UserError(f"soft labels: column 'teacher' is of type {values.type} and needs text") from error
    for name in names.unique().to_pylist():
        if not name.strip():
            raise UserError("soft labels: column 'teacher' holds an empty name; give every teacher one")
        if name == RESERVED:
            raise UserError(
                f"soft labels: teacher '{name}' must be called something else; '{RESERVED}' stands for students "
                "without a teacher"
            )
        if "/" in name:
            raise UserError(
                f"soft labels: teacher '{name}' must be called something without '/', which separates the names of "
                "files and metrics"
            )
    return names


def _plain(values: pa.ChunkedArray, name: str, content: str) -> pa.ChunkedArray:
    """A column without holes, categories written out."""
    if values.null_count:
        rows = "1 row" if values.null_count == 1 else f"{values.null_count} rows"
        raise UserError(f"soft labels: column '{name}' is empty in {rows}; give each row {content}")
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _to_arrow(frame: pd.DataFrame) -> pa.Table:
    """A pandas frame whose nested lists may be numpy arrays of arrays, as an Arrow table."""
    try:
        return pa.Table.from_pandas(frame, preserve_index=False)
    except (ValueError, TypeError, pa.ArrowException) as error:  # whatever a column of objects may hold
        raise UserError(f"soft labels: cannot be read as a table of lists ({error})") from error


def _teacher_logits(
    name: str, table: pa.Table, column: str, example_ids: NDArray[np.int64], num_classes: int
) -> NDArray[np.float32]:
    where = f"soft labels of teacher '{name}'"
    found = table.column("example_id").to_numpy()
    order = np.argsort(found, kind="stable")
    if (doubled := found[order][1:][np.diff(found[order]) == 0]).size:
        raise UserError(f"{where}: example_id {doubled[0]} is there twice")
    position = np.minimum(np.searchsorted(found, example_ids, sorter=order), len(found) - 1)
    missing = example_ids[found[order][position] != example_ids]
    if missing.size:
        shown = ", ".join(map(str, missing[:5]))
        raise UserError(f"{where}: {missing.size} of {len(example_ids)} examples are missing (example_id {shown}, …)")
    values = _as_array(table.column(column).combine_chunks(), where)[order[position]]
    if values.shape[-1] != num_classes:
        raise UserError(f"{where}: {values.shape[-1]} classes where the task has {num_classes}")
    bad = ~np.isfinite(values).all(axis=(1, 2))
    if bad.any():
        held = "1 example holds" if bad.sum() == 1 else f"{int(bad.sum())} examples hold"
        raise UserError(f"{where}: {held} NaN or infinite {column} (the first is example_id {example_ids[bad][0]})")
    return values if column == "logits" else _log_probabilities(values, where)


def _as_array(column: pa.Array, where: str) -> NDArray[np.float32]:
    """``(examples, draws, classes)`` from a list column of equal lengths."""
    if isinstance(column, pa.ChunkedArray):  # combine_chunks of an empty or single chunk
        column = pa.concat_arrays(column.chunks)
    shape: list[int] = []
    while (
        pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or pa.types.is_fixed_size_list(column.type)
    ):
        lengths = pa.compute.list_value_length(column).to_numpy(zero_copy_only=False)
        if not len(lengths) or not lengths.any():
            raise UserError(f"{where}: the lists are empty; every example needs draws x classes")
        if column.null_count or (lengths != lengths[0]).any():
            raise UserError(f"{where}: the lists differ in length; every example needs the same draws x classes")
        shape.append(int(lengths[0]))
        column = column.flatten()
    if pa.types.is_decimal(column.type):  # what DuckDB makes of literals such as [0.9, 0.1]
        column = column.cast(pa.float64())
    if len(shape) not in (1, 2) or not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        raise UserError(f"{where}: needs a list of numbers (classes) or a list of such lists (draws x classes) a row")
    with np.errstate(over="ignore"):  # what overflows becomes infinite, which is refused by name
        flat = column.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
    return np.asarray(flat).reshape(-1, *([1, *shape] if len(shape) == 1 else shape))


def _log_probabilities(values: NDArray[np.float32], where: str) -> NDArray[np.float32]:
    sums = values.sum(axis=-1, dtype=np.float64)
    if (values < 0).any() or (np.abs(sums - 1.0) > 1e-3).any():
        raise UserError(f"{where}: probabilities must be at least 0 and sum to 1 over the classes")
    # The smallest positive float32 keeps log finite; softmax gives the zero back to within 1e-38.
    return np.log(np.maximum(values, np.finfo(np.float32).tiny), dtype=np.float32)


def describe(teachers: Mapping[str, Mapping[str, Any]], seed: int, classes: Sequence[str]) -> dict[str, Any]:
    """The file's metadata: what the logits are, whose, and how they were drawn."""
    return {
        "content": "posterior logits, draws x classes, temperature-free (softmax gives probabilities)",
        "seed": seed,
        "classes": list(classes),
        "teachers": {name: dict(facts) for name, facts in teachers.items()},
    }


def with_metadata(table: pa.Table, **facts: Any) -> pa.Table:
    """The table with more facts in its own metadata, beside what it says of itself already."""
    known = dict(table.schema.metadata or {})
    described = json.loads(known.get(METADATA_KEY, b"{}")) | {name: fact for name, fact in facts.items() if fact}
    return table.replace_schema_metadata({**known, METADATA_KEY: json.dumps(described).encode()})
