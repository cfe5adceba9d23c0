"""Where the uncertainty went: inter-student variance by source, and intra- beside inter-student variance, by arm."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.arms import Arm
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.rows import Rows, arms_with_components, rows
from kd_uncertainty.report.figures.style import (
    INK,
    KIND_COLOURS,
    SOURCE_COLOURS,
    bars_of,
    finish,
    nothing_to_show,
    place,
)
from kd_uncertainty.report.wording import SOURCE_NAMES, SOURCES, percent

SOURCES_TITLE = "Inter-student variance by source"
WITHIN_TITLE = "Within students and between students"


def uncertainty_sources(variance_components: pd.DataFrame, split: str = "test", *, narrow: bool = False) -> go.Figure:
    """Stacked bars of the response, initialisation, order and residual components, one bar an arm, one panel a teacher.

    Unbiased estimates can be negative; those are stacked to the left of zero, so the bar's two ends still differ by
    their absolute sum and the tick mark (the sum of all four, with its interval) lies where it belongs.

    Args:
        variance_components: The table ``variance_components``.
        split: The split to show.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in arms_with_components(variance_components, split) if _known(arm, SOURCES, split)]
    if not arms:
        return nothing_to_show(SOURCES_TITLE, f"No variance components by source on the {split} split.")
    grid = rows(arms, narrow=narrow, axis_title="inter-student variance")
    for source in SOURCES:
        for panel, group in enumerate(grid.arms):
            values = [arm.component(source, split) for arm in group]
            _bar(grid, panel, values, SOURCE_NAMES[source], SOURCE_COLOURS[source])
    for panel, group in enumerate(grid.arms):
        row, column = place(panel, grid.columns)
        whole = [arm.component("inter_unbiased", split) for arm in group]
        grid.figure.add_scatter(
            x=[value.estimate for value in whole],
            y=grid.y(panel),
            error_x=bars_of(whole, color=INK),
            mode="markers",
            marker={"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": INK}, "color": INK},
            name="sum, with interval",
            legendgroup="sum",
            showlegend=panel == 0,
            meta="ink",
            customdata=grid.names(panel),
            hovertemplate="%{customdata}<br>sum %{x:.4g}<extra></extra>",
            row=row,
            col=column,
        )
    _same_axis(grid, [arm.component("inter_unbiased", split) for arm in arms])
    grid.figure.update_layout(barmode="relative")
    negative = any(arm.component(source, split).estimate < 0.0 for arm in arms for source in SOURCES)
    notes = (
        ["Bars left of zero are unbiased estimates below zero: components too small to measure."] if negative else []
    )
    return finish(
        grid.figure,
        SOURCES_TITLE,
        f"Stacked bars, one for each arm, of the four sources of inter-student variance on the {split} split; one "
        "panel for each teacher on a common scale. The tick is the sum of the four with its interval. Rows without a "
        "bar were not run.",
        head=88 if narrow else 66,
        notes=notes,
    )


def within_between(variance_components: pd.DataFrame, split: str = "test", *, narrow: bool = False) -> go.Figure:
    """Bars of intra- and inter-student variance that add up to the total; the figure at the end is inter's share.

    Args:
        variance_components: The table ``variance_components``.
        split: The split to show.
        narrow: One panel below the other, for narrow screens.
    """
    kinds = ("intra", "inter")
    arms = [arm for arm in arms_with_components(variance_components, split) if _known(arm, kinds, split)]
    if not arms:
        return nothing_to_show(WITHIN_TITLE, f"No intra- and inter-student variance on the {split} split.")
    grid = rows(arms, narrow=narrow, axis_title="variance of the predicted class")
    for kind in kinds:
        for panel, group in enumerate(grid.arms):
            values = [arm.component(kind, split) for arm in group]
            shares = [_share(arm, split) for arm in group] if kind == "inter" else None
            _bar(grid, panel, values, f"{kind}-student", KIND_COLOURS[kind], text=shares)
    _same_axis(grid, [arm.component("total", split) for arm in arms], room=1.22)
    grid.figure.update_layout(barmode="stack")
    return finish(
        grid.figure,
        WITHIN_TITLE,
        f"Bars of intra-student and inter-student variance on the {split} split, which add up to the total; one panel "
        "for each teacher on a common scale. The percentage is the inter-student share.",
        head=66,
    )


def _bar(grid: Rows, panel: int, values: list[Estimate], name: str, colour: str, text: list[str] | None = None) -> None:
    row, column = place(panel, grid.columns)
    grid.figure.add_bar(
        x=[value.estimate for value in values],
        y=grid.y(panel),
        orientation="h",
        width=0.72,
        name=name,
        legendgroup=name,
        showlegend=panel == 0,
        marker={"color": colour, "line": {"width": 0}},
        text=text,
        textposition="outside" if text else "none",
        textfont={"size": 11},
        cliponaxis=False,
        customdata=[[arm, value.lower, value.upper] for arm, value in zip(grid.names(panel), values, strict=True)],
        hovertemplate=f"%{{customdata[0]}}<br>{name} %{{x:.4g}} "
        "[%{customdata[1]:.4g}, %{customdata[2]:.4g}]<extra></extra>",
        row=row,
        col=column,
    )


def _share(arm: Arm, split: str) -> str:
    total = arm.component("total", split).estimate
    return percent(arm.component("inter", split).estimate / total, 0 if total else 1) if total > 0.0 else ""


def _known(arm: Arm, names: tuple[str, ...], split: str) -> bool:
    return all(arm.component(name, split).known for name in names)


def _same_axis(grid: Rows, wholes: list[Estimate], room: float = 1.04) -> None:
    """One scale for all panels, so that bars may be compared across teachers."""
    ends = [max(value.estimate, value.upper if value.measured else value.estimate) for value in wholes]
    negative = [min(0.0, trace.x[i]) for trace in grid.figure.data if trace.type == "bar" for i in range(len(trace.x))]
    low, high = min(negative, default=0.0), max(ends)
    grid.figure.update_xaxes(range=[1.3 * low if low < 0 else 0.0, room * high if high > 0 else 1.0])
