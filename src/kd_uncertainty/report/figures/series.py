"""Series of estimates as points with intervals, reference lines, and the axes that figures of several studies share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.style import INK, bars_of, safe, translucent

NEGLIGIBLE = 1e-12
"""A variance below this share of the largest one shown is rounding; a logarithmic axis leaves it out."""

POWERS: dict[str, Any] = {"type": "log", "exponentformat": "power", "tickfont": {"size": 9.2}}
"""A logarithmic axis over many decades; plotly writes its labels a quarter larger than it is told."""

Place = tuple[int, int]


@dataclass(frozen=True)
class Series:
    """Estimates against x under one name and colour."""

    name: str
    shade: str
    x: Sequence[float]
    values: Sequence[Estimate]
    symbol: str = "circle"
    dash: str = "solid"


def series_of(
    frame: pd.DataFrame, x: str, column: str, name: str, shade: str, *, symbol: str = "circle", dash: str = "solid"
) -> Series:
    """The column ``column`` with its bounds against the column ``x``, by x."""
    rows = frame.sort_values(x).to_dict("records")
    values = [estimate_of(row, column) for row in rows]
    return Series(name, shade, [float(row[x]) for row in rows], values, symbol, dash)


def draw(
    figure: go.Figure, at: Place, series: Series, *, first: bool, floor: float = -math.inf, lines: bool = True
) -> int:
    """Add a series to a panel and return how many of its estimates were left out.

    Args:
        figure: From ``panels``.
        at: Row and column of the panel.
        series: What to draw; estimates that are NaN are never drawn.
        first: Whether the legend names the series here.
        floor: Estimates at or below it are left out: 0 or more on a logarithmic axis.
        lines: Whether neighbours are joined.
    """
    known = [(x, value) for x, value in zip(series.x, series.values, strict=True) if value.known]
    shown = [(x, value) for x, value in known if value.estimate > floor]
    if shown:
        values = [value for _, value in shown]
        ink = series.shade == INK
        figure.add_scatter(
            x=[x for x, _ in shown],
            y=[value.estimate for value in values],
            error_y=bars_of(values, color=series.shade),
            mode="lines+markers" if lines else "markers",
            line={"color": series.shade if ink else translucent(series.shade, 0.6), "width": 1.4, "dash": series.dash},
            marker={
                "symbol": series.symbol,
                "size": 7,
                "color": series.shade,
                "line": {"width": 1.5, "color": series.shade},
            },
            name=safe(series.name),
            legendgroup=series.name,
            showlegend=first,
            meta="ink" if ink else None,
            customdata=[[value.lower, value.upper] for value in values],
            hovertemplate=f"{safe(series.name)}<br>%{{x:.4g}}: %{{y:.4g}} "
            "[%{customdata[0]:.4g}, %{customdata[1]:.4g}]<extra></extra>",
            row=at[0],
            col=at[1],
        )
    return len(known) - len(shown)


def line(
    figure: go.Figure,
    at: Place,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    shade: str,
    *,
    first: bool,
    dash: str = "dash",
) -> None:
    """A line without points: a closed form, a reference, a fit."""
    if all(math.isnan(value) for value in y):
        return
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines",
        line={"color": shade, "dash": dash, "width": 1.5},
        name=safe(name),
        legendgroup=name,
        showlegend=first,
        meta="ink" if shade == INK else None,
        hovertemplate=f"{safe(name)}<br>%{{x:.4g}}: %{{y:.4g}}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def band(
    figure: go.Figure, at: Place, x: Sequence[float], value: Estimate, name: str, shade: str, *, first: bool
) -> None:
    """A horizontal reference with its interval as a band over the range of x."""
    if not value.known or len(x) == 0:
        return
    ends = [min(x), max(x)]
    if value.measured:
        figure.add_scatter(
            x=[*ends, *reversed(ends)],
            y=[value.lower] * 2 + [value.upper] * 2,
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=translucent(shade, 0.14),
            name=f"{name}: interval",
            showlegend=False,
            hoverinfo="skip",
            row=at[0],
            col=at[1],
        )
    line(figure, at, ends, [value.estimate] * 2, name, shade, first=first)


def least(values: Sequence[Estimate]) -> float:
    """The height below which an estimate is rounding: `NEGLIGIBLE` of the largest, and never below zero."""
    known = [value.estimate for value in values if value.known]
    return max(0.0, NEGLIGIBLE * max(known, default=0.0))


def log_axis(figure: go.Figure, at: Place, values: Sequence[Estimate], title: str | None) -> None:
    """A logarithmic y axis over the estimates; an interval that reaches far down does not stretch it."""
    floor = least(values)
    shown = [value for value in values if value.known and value.estimate > floor]
    if shown:
        smallest = min(value.estimate for value in shown)
        low = min(max(value.lower, smallest / 4.0) if value.measured else value.estimate for value in shown)
        high = max(value.upper if value.measured else value.estimate for value in shown)
        room = 0.06 * max(math.log10(high / low), 0.3)
        figure.update_yaxes(range=[math.log10(low) - room, math.log10(high) + room], row=at[0], col=at[1])
    figure.update_yaxes(type="log", tickformat="~g", dtick=1, title=title, row=at[0], col=at[1])
    if shown and high / low < 100.0:
        figure.update_yaxes(dtick="D2", row=at[0], col=at[1])


def left_out(count: int) -> list[str]:
    """The note on estimates that a logarithmic axis cannot show."""
    noun = "estimate that is" if count == 1 else "estimates that are"
    return [f"{count} {noun} zero cannot be drawn on a logarithmic axis."] if count else []


def ribbon(figure: go.Figure, at: Place, series: Series, *, first: bool, floor: float = -math.inf) -> int:
    """A series as a line without points and its intervals as a band; returns how many estimates were left out.

    Args:
        figure: From ``panels``.
        at: Row and column of the panel.
        series: What to draw.
        first: Whether the legend names the series here.
        floor: Estimates at or below it are left out and bounds are cut there: 0 or more on a logarithmic axis.
    """
    known = [(x, value) for x, value in zip(series.x, series.values, strict=True) if value.known]
    shown = [(x, value) for x, value in known if value.estimate > floor]
    bounded = [(x, value) for x, value in shown if value.measured]
    if bounded:
        x = [place for place, _ in bounded]
        lows = [max(value.lower, value.estimate / 4.0) if floor >= 0.0 else value.lower for _, value in bounded]
        figure.add_scatter(
            x=[*x, *reversed(x)],
            y=[*(value.upper for _, value in bounded), *reversed(lows)],
            mode="lines",
            line={"width": 0},
            fill="toself",
            fillcolor=translucent(series.shade, 0.16),
            name=f"{series.name}: interval",
            legendgroup=series.name,
            showlegend=False,
            hoverinfo="skip",
            row=at[0],
            col=at[1],
        )
    if shown:
        figure.add_scatter(
            x=[x for x, _ in shown],
            y=[value.estimate for _, value in shown],
            mode="lines",
            line={"color": series.shade, "width": 2, "dash": series.dash},
            name=safe(series.name),
            legendgroup=series.name,
            showlegend=first,
            customdata=[[value.lower, value.upper] for _, value in shown],
            hovertemplate=f"{safe(series.name)}<br>%{{x:.4g}}: %{{y:.4g}} "
            "[%{customdata[0]:.4g}, %{customdata[1]:.4g}]<extra></extra>",
            row=at[0],
            col=at[1],
        )
    return len(known) - len(shown)
