"""The plateau: the excess risk at which SGD stays, against the step size, over its small-step law."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import ArmKey, keys_of, rows_of, shades_of
from kd_uncertainty.report.convergence.claims.descent import TRANSIENT, is_settled
from kd_uncertainty.report.figures.series import Place, Series, draw, line, log_axis
from kd_uncertainty.report.figures.style import finish, nothing_to_show, panels
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import number, value_text

TITLE = "Plateau: the excess risk at which SGD stays, against the step size"
COLUMNS = ("arm", "learning_rate", "plateau", "predicted_plateau")


def plateau_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Plateau and plateau over prediction against the step size by kind of labels; exact ones have none to draw.

    Args:
        table: The table ``plateau``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "The plateaus were not measured.")
    keys = [key for key in keys_of(table) if key.arm != "exact"]
    shades = shades_of(keys_of(table))
    figure = panels(
        ["excess risk, nats", "measured / predicted"],
        columns=1 if narrow else 2,
        heights=240 if narrow else 300,
        gap=72,
        side=0.12,
    )
    second = (2, 1) if narrow else (1, 2)
    points = [_arm(figure, second, rows_of(table, key), key, shades[key.label]) for key in keys]
    heights, ratios, settled = ([value for own in points for value in own[part]] for part in range(3))
    sizes = sorted({float(size) for size in table["learning_rate"]})
    line(figure, second, [sizes[0], sizes[-1]], [1.0, 1.0], "the law", "#7b848f", first=False, dash="solid")
    log_axis(figure, (1, 1), heights, None)
    figure.update_yaxes(range=_around_one(ratios), nticks=6, row=second[0], col=second[1])
    for at in ((1, 1), second):
        named = at == second or not narrow
        figure.update_xaxes(
            type="log",
            tickvals=sizes,
            ticktext=[value_text(size, 3) for size in sizes],
            tickangle=0,
            title="step size α" if named else None,
            row=at[0],
            col=at[1],
        )
    return finish(figure, TITLE, _description(table, settled), head=130 if narrow else 110)


Points = tuple[list[Estimate], list[Estimate], list[Estimate]]


def _arm(figure: go.Figure, second: Place, rows: list[dict[Any, Any]], key: ArmKey, shade: str) -> Points:
    """Draw one kind of labels; returns plateaus, their ratios to the law, and those ratios that have settled."""
    rows = sorted(rows, key=lambda row: row["learning_rate"])
    x, law = [float(row["learning_rate"]) for row in rows], [float(row["predicted_plateau"]) for row in rows]
    plain = key.arm == "one_hot"
    line(figure, (1, 1), x, law, "law α σ*/4" if plain else f"{key.label}: law", shade, first=plain)
    found: Points = ([], [], [])
    parts = [[row for row in rows if is_settled(row) == settled] for settled in (True, False)]
    for own, symbol in zip(parts, ("circle", "circle-open"), strict=True):
        values, relative = [estimate_of(row, "plateau") for row in own], [_over_law(row) for row in own]
        at, filled = [float(row["learning_rate"]) for row in own], symbol == "circle"
        plateaus, ratios = (Series(key.label, shade, at, shown, symbol) for shown in (values, relative))
        draw(figure, (1, 1), plateaus, first=filled or not parts[0], floor=0.0, lines=False)
        draw(figure, second, ratios, first=False, lines=filled)
        found[0].extend(values)
        found[1].extend(relative)
        found[2].extend(relative if filled else [])
    return found


def _description(table: pd.DataFrame, settled: Sequence[Estimate]) -> str:
    text = (
        "Points are means over seeds with intervals, dashed lines the small-step law α σ*/4; hollow points still hold "
        f"over {TRANSIENT:.0%} of the start."
    )
    known = [value.estimate for value in settled if value.known]
    if known:
        text += f" Measured over law runs from {number(min(known), 2)} to {number(max(known), 2)}."
    exact = table[table["arm"] == "exact"]
    if len(exact) and "floor_reached" in exact:
        reached = int(exact["floor_reached"].astype(bool).sum())
        text += f" Exact probabilities have no plateau: they reach rounding at {reached} of {len(exact)} step sizes."
    return text


def _over_law(row: Mapping[Any, Any]) -> Estimate:
    law = float(row["predicted_plateau"])
    return Estimate(*(end / law if law > 0.0 else math.nan for end in estimate_of(row, "plateau")))


def _around_one(ratios: Sequence[Estimate]) -> list[float]:
    """A range that holds all intervals and no less than a tenth on either side of 1."""
    ends = [end for value in ratios for end in value if math.isfinite(end)]
    low, high = min([*ends, 0.9]), max([*ends, 1.1])
    return [low - 0.04 * (high - low), high + 0.04 * (high - low)]
