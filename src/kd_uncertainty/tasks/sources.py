"""Tables as they come: what every study checks before it uses one."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.options import TableOptions

_LARGEST_INPUT = 1e150  # its square, as the variance needs it, is still far from the end of float64
_COLLECTIONS = (list, tuple, dict, set, frozenset, np.ndarray)
_REFUSED = {
    "date": "dates",
    "datetime": "dates",
    "datetime64": "dates",
    "period": "dates",
    "timedelta": "durations",
    "timedelta64": "durations",
    "complex": "complex numbers",
}
"""What pandas infers of a column that is neither a number nor a category, and what to call it."""


class Task(NamedTuple):
    """Examples, one row each, and what is known about the task as a whole (JSON-safe)."""

    examples: pd.DataFrame
    description: dict[str, Any]


def checked_table(source: pd.DataFrame, options: TableOptions, *, needs: str) -> pd.DataFrame:
    """The table without the dropped columns, once everything about its inputs that could be wrong is right.

    Args:
        source: the table.
        options: which column is the target, and which columns are no inputs.
        needs: what the target has to be, as a clause of the complaint about one that holds lists.

    Raises:
        UserError: if a column is missing, there twice, or holds what no network can take; it is named with the mend.
    """
    frame = _with_text_names(source)
    columns = ", ".join(map(str, frame.columns))
    if options.target not in frame.columns:
        raise UserError(
            f"source table: target column '{options.target}' is missing (columns: {columns}); set ingestion.target"
        )
    unknown = [column for column in options.drop_columns if column not in frame.columns]
    if unknown:
        raise UserError(f"source table: ingestion.drop_columns names {unknown}, which it lacks (columns: {columns})")
    if options.target in options.drop_columns:
        raise UserError(f"ingestion.drop_columns: holds the target column '{options.target}'; take it out")
    frame = frame.drop(columns=list(options.drop_columns)).reset_index(drop=True)
    if frame.columns.duplicated().any():
        raise UserError(f"source table: column '{frame.columns[frame.columns.duplicated()][0]}' is there twice")
    if frame.empty:
        raise UserError("source table: has 0 rows; give it examples")
    if frame.shape[1] == 1:
        raise UserError("source table: has no input column beside the target")
    if holds_collections(frame[options.target]):
        raise UserError(
            f"source table: target column '{options.target}' holds lists or other collections, and {needs}; "
            "name another column in ingestion.target"
        )
    for column in frame.columns.drop(options.target):
        _check_input(frame[column])
    return frame


def _with_text_names(source: pd.DataFrame) -> pd.DataFrame:
    frame = pd.DataFrame(source).rename(columns=str)
    for name in frame.columns[frame.columns.duplicated()]:
        same = [column for column in source.columns if str(column) == name]
        if len(set(same)) > 1:
            raise UserError(
                f"source table: columns {' and '.join(map(repr, same))} have the same name once it is text; rename one"
            )
    return frame


def holds_collections(values: pd.Series[Any]) -> bool:
    """Whether any value is a list or another collection."""
    return not pd.api.types.is_numeric_dtype(values) and any(isinstance(value, _COLLECTIONS) for value in values)


def _check_input(values: pd.Series[Any]) -> None:
    where = f"source table: column '{values.name}'"
    if values.isna().all():
        raise UserError(f"{where} has no value at all (all NaN); list it in ingestion.drop_columns")
    content = _REFUSED.get(pd.api.types.infer_dtype(values, skipna=True))
    if holds_collections(values):
        content = "lists or other collections"
    if content:
        raise UserError(f"{where} holds {content}; turn it into numbers, or list it in ingestion.drop_columns")
    if not pd.api.types.is_numeric_dtype(values):
        return
    numbers = values.to_numpy(dtype=float, na_value=np.nan)
    if np.isinf(numbers).any():
        raise UserError(f"{where} holds infinite values; replace them, or leave them empty to be imputed")
    if (np.abs(numbers) > _LARGEST_INPUT).any():
        raise UserError(too_large(str(values.name), "its numbers go beyond 1e150"))


def too_large(column: str, why: str) -> str:
    """The complaint about a column whose numbers are too large."""
    return (
        f"source table: column '{column}' holds values that are too large ({why}); rescale or replace them, or list it "
        "in ingestion.drop_columns"
    )


def table_digest(table: pd.DataFrame) -> str:
    """Sixteen hexadecimal digits of a table's column names and values, so that a report can say what it is about."""
    digest = hashlib.blake2b("\x00".join(map(str, table.columns)).encode(), digest_size=8)
    digest.update(pd.util.hash_pandas_object(table, index=False).to_numpy().tobytes())
    return digest.hexdigest()


def random_state(seed: int, purpose: int) -> int:
    """A 32-bit state for scikit-learn, independent for each purpose."""
    return int(np.random.SeedSequence([seed, purpose]).generate_state(1)[0])
