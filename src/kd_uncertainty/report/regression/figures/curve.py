"""The response curve of the crossed design: inter-student variance against k with the fit a/k + b."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Place, Series, draw, least, left_out, line, log_axis
from kd_uncertainty.report.figures.style import (
    MUTED,
    SPARE_COLOURS,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
    safe,
)
from kd_uncertainty.report.regression.arms import SAMPLED, RegressionArm, curve_label, read_arms, variant
from kd_uncertainty.report.regression.budgets import RegressionBudget, read_budgets
from kd_uncertainty.report.regression.figures.sources import panels_of

TITLE = "Inter-student variance against the number of responses"


def response_curve(
    variance_components: pd.DataFrame, response_budget: pd.DataFrame, split: str = "validation", *, narrow: bool = False
) -> go.Figure:
    """Inter-student variance against k on log-log axes with the fit a/k + b; a panel a model and teacher.

    Args:
        variance_components: The table ``variance_components``.
        response_budget: The fits, made on the split ``validation``; may be empty.
        split: The split of the points; the one that was fitted, by default.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"variance_components": variance_components}) if arm.target in SAMPLED]
    arms = [arm for arm in arms if arm.component("inter_unbiased", split).known]
    if not arms:
        return nothing_to_show(TITLE, "No arm was trained on sampled responses, so there is no curve in k.")
    budgets = [b for b in read_budgets({"response_budget": response_budget}) if b.split == split]
    groups = panels_of(arms)
    shades = _shades(arms)
    ticks = sorted({arm.num_responses for arm in arms})
    columns = 1 if narrow else min(2, len(groups))
    figure = panels(list(groups), columns=columns, heights=240 if narrow else 280, gap=76, side=0.1)
    dropped, named = 0, set[str]()
    for index, group in enumerate(groups.values()):
        at = place(index, columns)
        values = [arm.component("inter_unbiased", split) for arm in group]
        for curve in dict.fromkeys(arm.curve for arm in group):
            own = [arm for arm in group if arm.curve == curve]
            name, shade = _name(own[0]), shades[_name(own[0])]
            points = [arm.component("inter_unbiased", split) for arm in own]
            series = Series(name, shade, [arm.num_responses for arm in own], points)
            dropped += draw(figure, at, series, first=name not in named, floor=least(values), lines=False)
            named.add(name)
            for budget in (b for b in budgets if b.matches(own[0])):
                _fit(figure, at, budget, ticks, shade, least(values))
        _axes(figure, at, values, ticks, named=names_axis(index, columns, len(groups)))
    _legend(figure, with_fit=bool(budgets))
    return finish(
        figure,
        TITLE,
        f"Log-log curves on the {split} split, one panel for each kind of student and teacher, colours name targets: "
        "inter-student variance with its interval in squared units of the target, the fit a/k + b, its floor b (thin "
        "line, where the fit has one) and the recommended number of responses (diamond).",
        head=96 if narrow else 78,
        notes=left_out(dropped),
    )


def _name(arm: RegressionArm) -> str:
    return curve_label(arm.target, arm.noise) + variant(arm.mixing, arm.weighting)


def _shades(arms: Sequence[RegressionArm]) -> dict[str, str]:
    names = list(dict.fromkeys(_name(arm) for arm in sorted(arms, key=lambda arm: (arm.target, arm.noise))))
    return {name: SPARE_COLOURS[index % len(SPARE_COLOURS)] for index, name in enumerate(names)}


def _fit(
    figure: go.Figure, at: Place, budget: RegressionBudget, ticks: Sequence[int], shade: str, floor: float
) -> None:
    a, b = budget.response_variance.estimate, budget.floor.estimate
    k = np.geomspace(ticks[0], max(budget.largest_measured, ticks[0]), 40)
    fit = a / k + b
    line(
        figure,
        at,
        k.tolist(),
        np.where(fit > floor, fit, np.nan).tolist(),
        "fit a/k + b",
        shade,
        first=False,
        dash="solid",
    )
    if b > floor:
        line(figure, at, [k[0], k[-1]], [b, b], "floor b", shade, first=False, dash="dot")
    count = budget.recommended.estimate
    if math.isfinite(count) and count <= 2 * ticks[-1]:
        figure.add_scatter(
            x=[count], y=[budget.variance_at(count)], mode="markers",
            marker={"symbol": "diamond", "size": 11, "color": shade, "line": {"width": 0}},
            name="recommended k", showlegend=False, row=at[0], col=at[1],
            hovertemplate=f"{safe(budget.name)}<br>recommended k = {count:.0f}<extra></extra>",
        )  # fmt: skip


def _axes(figure: go.Figure, at: Place, values: list[Estimate], ticks: Sequence[int], *, named: bool) -> None:
    log_axis(figure, at, values, "variance" if at[1] == 1 else None)
    figure.update_xaxes(
        type="log", tickvals=list(ticks), ticktext=[str(k) for k in ticks], tickangle=0,
        title="responses per example, k" if named else None, row=at[0], col=at[1],
    )  # fmt: skip


def _legend(figure: go.Figure, *, with_fit: bool) -> None:
    if not with_fit:
        return
    looks = (("fit a/k + b", "solid", 1.6), ("floor b", "dot", 1.2))
    for name, dash, width in looks:
        shape = {"color": MUTED, "width": width, "dash": dash}
        figure.add_scatter(x=[None], y=[None], mode="lines", line=shape, name=name)
    mark = {"symbol": "diamond", "size": 9, "color": MUTED}
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=mark, name="enough responses")
