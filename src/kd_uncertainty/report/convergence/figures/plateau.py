"""The plateau: the excess risk at which SGD stays, against the step size, over its small-step law."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import keys_of, rows_of, shades_of
from kd_uncertainty.report.figures.series import Series, draw, line, log_axis
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
    heights, ratios = [], []
    for index, key in enumerate(keys):
        rows = sorted(rows_of(table, key), key=lambda row: row["learning_rate"])
        x, law = [float(row["learning_rate"]) for row in rows], [float(row["predicted_plateau"]) for row in rows]
        values = [estimate_of(row, "plateau") for row in rows]
        relative = [
            Estimate(*(end / height if height > 0.0 else float("nan") for end in value))
            for value, height in zip(values, law, strict=True)
        ]
        name = "law α σ*/4"
        line(figure, (1, 1), x, law, name if index == 0 else f"{key.label}: law", shades[key.label], first=index == 0)
        draw(figure, (1, 1), Series(key.label, shades[key.label], x, values), first=True, floor=0.0, lines=False)
        draw(figure, second, Series(key.label, shades[key.label], x, relative), first=False)
        heights += values
        ratios += relative
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
    known = [value.estimate for value in ratios if value.known]
    exact = table[table["arm"] == "exact"]
    reached = int(exact["floor_reached"].astype(bool).sum()) if "floor_reached" in exact else 0
    text = "Points are means over seeds with intervals, dashed lines the small-step law α σ*/4. "
    text += f"Measured over law runs from {number(min(known), 2)} to {number(max(known), 2)}. " if known else ""
    text += (
        f"Exact probabilities have no plateau: they reach rounding at {reached} of {len(exact)} step sizes."
        if len(exact)
        else ""
    )
    return finish(figure, TITLE, text, head=130 if narrow else 110)


def _around_one(ratios: Sequence[Estimate]) -> list[float]:
    """A range that holds all intervals and no less than a tenth on either side of 1."""
    ends = [end for value in ratios for end in value if math.isfinite(end)]
    low, high = min([*ends, 0.9]), max([*ends, 1.1])
    return [low - 0.04 * (high - low), high + 0.04 * (high - low)]
