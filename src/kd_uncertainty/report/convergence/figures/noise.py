"""Gradient noise at the optimum by kind of labels: measured against the closed form."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import ArmKey, key_of, keys_of, shades_of
from kd_uncertainty.report.convergence.claims.noise import EXACT_TO
from kd_uncertainty.report.figures.series import line
from kd_uncertainty.report.figures.style import INK, MUTED, bars_of, finish, nothing_to_show, panels, safe
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import number, value_text

TITLE = "Gradient noise at the optimum: measured and closed form"
ROW = 26


def gradient_noise_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Noise of every arm on a logarithmic axis with its closed form, and the ratio of the two.

    Args:
        table: The table ``gradient_noise``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("arm", "closed_form", "monte_carlo", "ratio")):
        return nothing_to_show(TITLE, "The gradient noise was not measured.")
    keys = [key for key in keys_of(table) if key.arm != "exact"]
    rows = [next(row for row in table.to_dict("records") if key_of(row).matches(key)) for key in keys]
    columns = 1 if narrow else 2
    figure = panels(
        ["E‖g‖² at the optimum", "measured / closed form"],
        columns=columns,
        heights=ROW * len(keys) + 14,
        gap=70,
        side=0.06,
    )
    second = (2, 1) if narrow else (1, 2)
    shades = shades_of(keys)
    names, middle = [safe(key.label) for key in keys], [float(row["closed_form"]) for row in rows]
    figure.add_scatter(
        x=middle,
        y=list(range(len(keys))),
        mode="markers",
        marker={"symbol": "line-ns", "size": 17, "line": {"width": 2, "color": INK}, "color": INK},
        meta="ink",
        name="closed form",
        hovertemplate="closed form: %{x:.5g}<extra></extra>",
        row=1,
        col=1,
    )
    _points(figure, (1, 1), [estimate_of(row, "monte_carlo") for row in rows], keys, shades)
    _points(figure, second, [estimate_of(row, "ratio") for row in rows], keys, shades)
    for at in ((1, 1), second):
        figure.update_yaxes(
            range=[len(keys) - 0.4, -0.6], tickvals=list(range(len(keys))), ticktext=names, row=at[0], col=at[1]
        )
    figure.update_yaxes(showgrid=False, zeroline=False)
    if not narrow:
        figure.update_yaxes(showticklabels=False, row=1, col=2)
    figure.update_xaxes(type="log", dtick="D2", tickformat="~g", tickangle=0, row=1, col=1)
    _reference(figure, second, [estimate_of(row, "ratio") for row in rows], len(keys))
    return finish(figure, TITLE, _description(table, rows), head=70)


def _points(
    figure: go.Figure,
    at: tuple[int, int],
    values: Sequence[Estimate],
    keys: Sequence[ArmKey],
    shades: dict[str, str],
) -> None:
    shown = [(rank, key, value) for rank, (key, value) in enumerate(zip(keys, values, strict=True)) if value.known]
    colours = [shades[key.label] for _, key, _ in shown]
    figure.add_scatter(
        x=[value.estimate for *_, value in shown],
        y=[rank for rank, *_ in shown],
        error_x=bars_of([value for *_, value in shown], color=MUTED),
        mode="markers",
        marker={"size": 8, "color": colours},
        name="measured",
        showlegend=False,
        text=[safe(key.label) for _, key, _ in shown],
        hovertemplate="%{text}: %{x:.5g}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _reference(figure: go.Figure, at: tuple[int, int], ratios: Sequence[Estimate], count: int) -> None:
    """The line at 1 and the band of what counts as equal; the axis never closer than twice that band."""
    figure.add_scatter(
        x=[1 - EXACT_TO, 1 + EXACT_TO, 1 + EXACT_TO, 1 - EXACT_TO],
        y=[-0.6, -0.6, count - 0.4, count - 0.4],
        mode="lines",
        line={"width": 0},
        fill="toself",
        fillcolor="rgba(128,128,128,0.14)",
        name=f"within {EXACT_TO:.0%}",
        showlegend=False,
        hoverinfo="skip",
        row=at[0],
        col=at[1],
    )
    line(figure, at, [1.0, 1.0], [-0.6, count - 0.4], "equal", MUTED, first=False, dash="solid")
    ends = [abs(end - 1.0) for value in ratios for end in value if not math.isnan(end)]
    room = max(2.0 * EXACT_TO, 1.1 * max(ends, default=0.0))
    figure.update_xaxes(range=[1 - room, 1 + room], nticks=5, row=at[0], col=at[1])


def _description(table: pd.DataFrame, rows: Sequence[dict[Any, Any]]) -> str:
    off = [abs(float(row["ratio"]) - 1.0) for row in rows if not math.isnan(float(row["ratio"]))]
    farthest = f", at most {number(100.0 * max(off), 2)}% from it" if off else ""
    largest = [float(row.get("largest_gradient", math.nan)) for row in table.to_dict("records")]
    largest = [value for value in largest if not math.isnan(value)]
    exact = (
        f" With exact probabilities there is none: the largest gradient of any example is {value_text(largest[0])}."
        if largest
        else ""
    )
    return f"Points: measured, with intervals; ticks: the closed form{farthest}; grey band: within 1% of it.{exact}"
