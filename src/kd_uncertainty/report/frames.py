"""Rows of tables that may be missing or incomplete."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd


def choose(frame: pd.DataFrame, **keys: object) -> pd.DataFrame:
    """The rows whose columns have the given values."""
    for name, value in keys.items():
        frame = frame[frame[name] == value]
    return frame


def missing(table: pd.DataFrame | None, columns: Sequence[str]) -> bool:
    """Whether a table is absent, empty, or without one of the columns that are needed."""
    return table is None or table.empty or not set(columns) <= set(table.columns)
