"""Where the variance between students went in the crossed design: bars by source, one bar an arm."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Place
from kd_uncertainty.report.figures.style import (
    INK,
    SOURCE_COLOURS,
    bars_of,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
    safe,
)
from kd_uncertainty.report.regression.arms import MODELS, TARGETS, RegressionArm, read_arms
from kd_uncertainty.report.wording import SOURCE_NAMES, SOURCES, ordered

TITLE = "Inter-student variance by source"
ROW_HEIGHT = 19


def uncertainty_sources(variance_components: pd.DataFrame, split: str = "test", *, narrow: bool = False) -> go.Figure:
    """Stacked bars of the response, initialisation, order and residual components; a panel a model and teacher.

    Each panel has a scale of its own: linear and network students differ by orders of magnitude.

    Args:
        variance_components: The table ``variance_components``.
        split: The split to show.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"variance_components": variance_components}) if split in arm.components]
    arms = [arm for arm in arms if arm.component("inter_unbiased", split).known]
    if not arms:
        return nothing_to_show(TITLE, f"No variance components by source on the {split} split.")
    groups = panels_of(arms)
    columns = 1 if narrow else min(2, len(groups))
    rows = [list(groups.values())[start : start + columns] for start in range(0, len(groups), columns)]
    heights = [max(len(group) for group in row) * ROW_HEIGHT + 16.0 for row in rows]
    figure = panels(list(groups), columns=columns, heights=heights, gap=66, side=0.2)
    for index, group in enumerate(groups.values()):
        at = place(index, columns)
        for source in SOURCES:
            _bars(figure, at, group, source, split, first=index == 0)
        _sums(figure, at, group, split, first=index == 0)
        most = max(len(other) for other in rows[index // columns])
        figure.update_yaxes(
            range=[most - 0.4, -0.6], tickvals=list(range(len(group))), ticktext=[safe(arm.label()) for arm in group],
            showgrid=False, zeroline=False, row=at[0], col=at[1],
        )  # fmt: skip
        named = names_axis(index, columns, len(groups))
        figure.update_xaxes(
            title="inter-student variance" if named else None, nticks=4, tickformat="~s", row=at[0], col=at[1]
        )
    figure.update_layout(barmode="relative")
    known = [arm.component(source, split).estimate for arm in arms for source in SOURCES]
    notes = ["Bars left of zero are unbiased estimates below zero: components too small to measure."]
    return finish(
        figure,
        TITLE,
        f"Stacked bars, one for each arm, of the sources of inter-student variance on the {split} split, in squared "
        "units of the target; one panel for each kind of student and teacher, each on a scale of its own. The tick is "
        "the sum with its interval. Closed-form linear students have no initialisation and no order.",
        head=88 if narrow else 66,
        notes=notes if any(value < 0.0 for value in known) else [],
    )


def panels_of(arms: Sequence[RegressionArm]) -> dict[str, list[RegressionArm]]:
    """The arms by model and teacher, in the order in which every figure shows them; the control goes with its model."""
    models = ordered([arm.model for arm in arms], MODELS)
    targets = ordered([arm.target for arm in arms], TARGETS)
    groups: dict[str, list[RegressionArm]] = {}
    for model in models:
        own = [arm for arm in arms if arm.model == model]
        controls = [arm for arm in own if arm.is_control]
        teachers = list(dict.fromkeys(arm.teacher for arm in own if not arm.is_control))
        for teacher in teachers:
            ranked = sorted(
                [arm for arm in own if arm.teacher == teacher and not arm.is_control],
                key=lambda arm: (targets.index(arm.target), arm.noise, arm.weighting, -arm.mixing, arm.num_responses),
            )
            groups[f"{model} students, {teacher} teacher"] = [*ranked, *controls]
        if not teachers:
            groups[f"{model} students"] = controls
    return groups


def _bars(figure: go.Figure, at: Place, group: list[RegressionArm], source: str, split: str, *, first: bool) -> None:
    values = [arm.component(source, split) for arm in group]
    figure.add_bar(
        x=[value.estimate if value.known else 0.0 for value in values],
        y=list(range(len(group))),
        orientation="h",
        width=0.72,
        name=SOURCE_NAMES[source],
        legendgroup=source,
        showlegend=first,
        marker={"color": SOURCE_COLOURS[source], "line": {"width": 0}},
        customdata=[[safe(arm.label()), value.lower, value.upper] for arm, value in zip(group, values, strict=True)],
        hovertemplate=f"%{{customdata[0]}}<br>{source} %{{x:.4g}} "
        "[%{customdata[1]:.4g}, %{customdata[2]:.4g}]<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _sums(figure: go.Figure, at: Place, group: list[RegressionArm], split: str, *, first: bool) -> None:
    whole: list[Estimate] = [arm.component("inter_unbiased", split) for arm in group]
    figure.add_scatter(
        x=[value.estimate for value in whole],
        y=list(range(len(group))),
        error_x=bars_of(whole, color=INK),
        mode="markers",
        marker={"symbol": "line-ns", "size": 9, "line": {"width": 2, "color": INK}, "color": INK},
        name="sum, with interval",
        legendgroup="sum",
        showlegend=first,
        meta="ink",
        customdata=[safe(arm.label()) for arm in group],
        hovertemplate="%{customdata}<br>sum %{x:.4g}<extra></extra>",
        row=at[0],
        col=at[1],
    )
