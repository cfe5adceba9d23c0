"""Columns of a study's table as rows of finished strings, each written by its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED, number, percent, value_text, with_bounds

Column = tuple[str, str, str]
"""Column of the table, header, and how it is written: text, count, value, share, interval, or `estimate` for
`estimate, lower, upper`."""


def columns_table(caption: str, columns: Sequence[Column], frame: pd.DataFrame) -> TableView:
    """The columns of a table that it has; the leading text columns are names.

    Args:
        caption: What the table is.
        columns: What to show, in this order.
        frame: The table; columns that it lacks are left out.
    """
    shown = [column for column in columns if column[0] in frame]
    rows = tuple(tuple(_cell(row, column, kind) for column, _, kind in shown) for row in frame.to_dict("records"))
    first = next((index for index, (_, _, kind) in enumerate(shown) if kind != "text"), len(shown))
    return TableView(caption, tuple(header for _, header, _ in shown), rows, max(first, 1))


def _cell(row: Mapping[Any, Any], column: str, kind: str) -> str:
    if kind in ("interval", "estimate"):
        return with_bounds(estimate_of(row, column if kind == "interval" else None))
    value = row[column]
    if kind == "text":
        return str(value).replace("_", " ")
    known = None if pd.isna(value) else float(value)
    if kind == "count":
        return number(known, 0)
    if kind == "share":
        return percent(known, 0)
    if known is None:
        return NOT_MEASURED
    return f"{known:g}" if abs(known) < 10 and known == round(known, 3) else value_text(known)
