"""Values of a soft-label column as arrays of logits, whatever their encoding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.cells import unpack
from kd_uncertainty.soft_labels.columns import PACKED, standard_table


def whose(teacher: str) -> str:
    """How messages name a teacher's soft labels."""
    return f"soft labels of teacher '{teacher}'"


def teacher_rows(
    data: pa.Table | pd.DataFrame,
) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]:
    """Each teacher of a table with the identifiers and the logits (examples, draws, classes) of its rows, in order.

    Raises:
        UserError: as ``kd_uncertainty.soft_labels.read_soft_labels``, save for what only the task can tell.
    """
    table, column = standard_table(data)
    for name in table.column("teacher").unique().to_pylist():
        rows = table.filter(pa.compute.equal(table.column("teacher"), name))
        where = whose(name)
        example_ids = rows.column("example_id").to_numpy()
        yield (
            name,
            example_ids,
            checked_logits(raw_values(rows, column, where), column, example_ids, where),
        )


def positions_of(example_ids: NDArray[np.int64], found: NDArray[np.int64], where: str) -> NDArray[np.int64]:
    """Positions of the wanted identifiers among those found, each of which is there once.

    Raises:
        UserError: if some are missing.
    """
    order = np.argsort(found, kind="stable")
    position = order[np.minimum(np.searchsorted(found, example_ids, sorter=order), len(found) - 1)]
    missing = example_ids[found[position] != example_ids]
    if missing.size:
        shown = ", ".join(map(str, missing[:5]))
        raise UserError(f"{where}: {missing.size} of {len(example_ids)} examples are missing (example_id {shown}, …)")
    return np.asarray(position)


def check_unique(found: NDArray[np.int64], where: str) -> None:
    """Refuse identifiers that are there twice.

    Raises:
        UserError: if one is.
    """
    ordered = np.sort(found)
    if (doubled := ordered[1:][np.diff(ordered) == 0]).size:
        raise UserError(f"{where}: example_id {doubled[0]} is there twice")


def check_classes(classes: int, num_classes: int, where: str) -> None:
    """Refuse another number of classes than the task's.

    Raises:
        UserError: if they differ.
    """
    if classes != num_classes:
        raise UserError(f"{where}: {classes} classes where the task has {num_classes}")


def raw_values(table: pa.Table, column: str, where: str) -> NDArray[np.float32]:
    """``(examples, draws, classes)`` from a column of lists or packed cells; lists of classes count as one draw.

    Args:
        table: rows of one teacher.
        column: the column that holds the values.
        where: whose values they are, for messages.

    Raises:
        UserError: if the rows differ in their draws or classes, or hold no numbers.
    """
    if column == PACKED:
        return unpack(table, where)
    return _from_lists(table.column(column).combine_chunks(), where)


def checked_logits(
    values: NDArray[np.float32], column: str, example_ids: NDArray[np.int64], where: str
) -> NDArray[np.float32]:
    """The values as logits: probabilities become their logarithms.

    Raises:
        UserError: if a value is not finite or, for probabilities, a vector is no distribution.
    """
    bad = ~np.isfinite(values).all(axis=(1, 2))
    if bad.any():
        held = "1 example holds" if bad.sum() == 1 else f"{int(bad.sum())} examples hold"
        raise UserError(f"{where}: {held} NaN or infinite {column} (the first is example_id {example_ids[bad][0]})")
    return _log_probabilities(values, where) if column == "probabilities" else values


def _from_lists(column: pa.Array, where: str) -> NDArray[np.float32]:
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
