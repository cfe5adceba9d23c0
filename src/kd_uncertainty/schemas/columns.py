"""What all tables' contracts share: columns by kind, and the names that make an arm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from kd_uncertainty.errors import UserError

ARM_KEYS = ("teacher", "target", "num_responses", "weighting", "mixing", "temperature", "schedule")
"""What makes two students belong to the same arm."""
VALUE_ARM_KEYS = ("model", "teacher", "target", "noise", "num_responses", "weighting", "mixing")
"""The same for students that predict real values."""
LANGUAGE_ARM_KEYS = ("method", "num_responses")
"""The same for students of a language model."""
NO_TEACHER = "none"
"""The teacher of students that are trained on the data's own labels."""
FACTORS = ("response", "initialisation", "order")
"""The three independent sources of randomness of a student."""
SEED_COLUMNS = tuple(f"{factor}_seed" for factor in FACTORS)

INTERVAL = {"estimate": "float", "lower": "float", "upper": "float"}
VALUE_METRICS = ("mse", "mae", "r2", "mse_to_teacher", "residual_variance")
"""Of students that predict numbers."""

ARM_COLUMNS = {"arm": "int", "teacher": "text", "target": "text", "num_responses": "int", "weighting": "text"} | {
    "mixing": "float",
    "temperature": "float",
    "schedule": "text",
}
VALUE_ARM_COLUMNS = {"arm": "int", "model": "text", "teacher": "text", "target": "text", "noise": "float"} | {
    "num_responses": "int",
    "weighting": "text",
    "mixing": "float",
}

LANGUAGE_ARM_COLUMNS = {"arm": "int", "method": "text", "num_responses": "int"}

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": pd.api.types.is_integer_dtype,
    "float": pd.api.types.is_float_dtype,
    "bool": pd.api.types.is_bool_dtype,
    "text": pd.api.types.is_string_dtype,
    "any": lambda _: True,
}


def check(table: str, data: Any, columns: Mapping[str, str]) -> None:
    """Check that a table has the columns, each of its kind; an empty one may have any.

    Raises:
        UserError: that names the table and the column.
    """
    if not isinstance(data, pd.DataFrame):
        raise UserError(f"table {table}: a data frame is needed, got {type(data).__name__}")
    missing = [column for column in columns if column not in data.columns]
    if missing:
        raise UserError(
            f"table {table}: column '{missing[0]}' is missing (columns: {', '.join(map(str, data.columns))})"
        )
    for column, kind in columns.items():
        if not _CHECKS[kind](data[column].dtype) and len(data):
            raise UserError(f"table {table}: column '{column}' must hold {kind}, holds {data[column].dtype}")


def arm_columns(data: Any) -> dict[str, str]:
    """The columns that name an arm: students of a language model have a method, those of real values a model."""
    if "method" in getattr(data, "columns", ()):
        return LANGUAGE_ARM_COLUMNS
    return VALUE_ARM_COLUMNS if "model" in getattr(data, "columns", ()) else ARM_COLUMNS


def with_interval(*names: str) -> dict[str, str]:
    """Columns of quantities with their bounds."""
    return {f"{name}{bound}": "float" for name in names for bound in ("", "_lower", "_upper")}
