"""Columns of a soft-label table of any origin, brought to the types that the rest of the code expects."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute

from kd_uncertainty.errors import UserError

NAMELESS = "teacher"
"""What the one teacher of a table without a teacher column is called."""
RESERVED = "none"
"""What plans call the teacher of students that have none."""
PACKED = "log_probabilities"
"""The column of packed cells."""


def standard_table(data: pa.Table | pd.DataFrame) -> tuple[pa.Table, str]:
    """The table with int64 identifiers and named teachers, and the name of the column that holds its values.

    Raises:
        UserError: if a column is missing or there twice, or identifiers or names cannot be used.
    """
    table = data if isinstance(data, pa.Table) else _to_arrow(data)
    column = value_column(table.column_names)
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
        table = table.append_column("teacher", pa.array([NAMELESS] * len(table), pa.string()))
    if not len(table):
        raise UserError("soft labels: the table is empty")
    for name, converted in (
        ("example_id", _integers(table.column("example_id"))),
        ("teacher", teacher_names(table.column("teacher"))),
    ):
        table = table.set_column(table.column_names.index(name), name, converted)
    return table, column


def value_column(names: list[str]) -> str:
    """Which of a table's columns holds the soft labels: ``logits``, packed ``log_probabilities``, ``probabilities``."""
    return next((name for name in ("logits", PACKED) if name in names), "probabilities")


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


def teacher_names(values: pa.ChunkedArray) -> pa.ChunkedArray:
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
