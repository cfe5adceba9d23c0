"""Rows of dots with intervals: several groups beside each other in every row, against a reference line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Place
from kd_uncertainty.report.figures.style import MUTED, bars_of, safe

ROW = 30
"""Pixels of a row."""
APART = 0.2
"""Rows between the dots of neighbouring groups."""


@dataclass(frozen=True)
class Dots:
    """A group's estimates, one a row; NaN where a row has none."""

    name: str
    shade: str
    values: Sequence[Estimate]
    symbol: str = "circle"


def draw_dots(
    figure: go.Figure,
    at: Place,
    rows: Sequence[str],
    groups: Sequence[Dots],
    *,
    named: set[str],
    reference: float | None,
) -> None:
    """Draw the groups side by side in every row, the first row on top.

    Args:
        figure: From ``panels``.
        at: Row and column of the panel.
        rows: Labels.
        groups: What to draw.
        named: Names that the legend has already; those drawn here are added.
        reference: Where a vertical line stands, if anywhere.
    """
    if reference is not None:
        ends = [-0.6, len(rows) - 0.4]
        figure.add_scatter(
            x=[reference] * 2,
            y=ends,
            mode="lines",
            line={"color": MUTED, "width": 1.2},
            name=f"reference {reference:g}",
            showlegend=False,
            hoverinfo="skip",
            row=at[0],
            col=at[1],
        )
    for number, group in enumerate(groups):
        offset = APART * (number - (len(groups) - 1) / 2.0)
        known = [(rank + offset, rows[rank], value) for rank, value in enumerate(group.values) if value.known]
        if not known:
            continue
        values = [value for *_, value in known]
        figure.add_scatter(
            x=[value.estimate for value in values],
            y=[rank for rank, *_ in known],
            error_x=bars_of(values, color=group.shade),
            mode="markers",
            marker={
                "size": 7,
                "color": group.shade,
                "symbol": group.symbol,
                "line": {"width": 1.5, "color": group.shade},
            },
            name=safe(group.name),
            legendgroup=group.name,
            showlegend=group.name not in named,
            text=[safe(name) for _, name, _ in known],
            customdata=[[value.lower, value.upper] for value in values],
            hovertemplate=f"%{{text}}<br>{safe(group.name)}: %{{x:.3f}} "
            "[%{customdata[0]:.3f}, %{customdata[1]:.3f}]<extra></extra>",
            row=at[0],
            col=at[1],
        )
        named.add(group.name)
    figure.update_yaxes(
        range=[len(rows) - 0.4, -0.6],
        tickvals=list(range(len(rows))),
        ticktext=[safe(row) for row in rows],
        showgrid=False,
        zeroline=False,
        row=at[0],
        col=at[1],
    )


def reach(groups: Sequence[Sequence[Estimate]], also: Sequence[float]) -> list[float]:
    """A range that holds all estimates with their intervals and some further values, with a little room."""
    ends = [end for values in groups for value in values if value.known for end in value if not math.isnan(end)]
    low, high = min([*ends, *also]), max([*ends, *also])
    room = 0.04 * (high - low or 1.0)
    return [low - room, high + room]
