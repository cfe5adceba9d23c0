"""The response curve: inter-student variance against the number of responses, with the fit a/k + b."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.arms import Arm
from kd_uncertainty.report.budget import Budget, read_budgets
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.rows import arms_with_components
from kd_uncertainty.report.figures.style import (
    MUTED,
    TARGET_COLOURS,
    bars_of,
    colour,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
    safe,
)
from kd_uncertainty.report.wording import TARGET_NAMES, plural, target_order, teacher_order

TITLE = "Inter-student variance against the number of responses"
FARTHEST = 8
"""The axis follows the recommended k at most this many times beyond the largest measured one."""


def response_curve(
    variance_components: pd.DataFrame, response_budget: pd.DataFrame, split: str = "validation", *, narrow: bool = False
) -> go.Figure:
    """Inter-student variance and its response component against k on log-log axes, one panel a teacher.

    Filled points: ``inter_unbiased``, with the fit a/k + b (dashed beyond the largest measured k) and its floor b (thin
    line). Open points: the response component alone. Dotted: a/k, which also holds the interactions that fall with k.
    The vertical line is the recommended k.

    Args:
        variance_components: The table ``variance_components``.
        response_budget: The fits, made on the split ``validation``; may be empty.
        split: The split of the points; the one that was fitted, by default.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [a for a in arms_with_components(variance_components, split) if a.target not in ("exact", "one_hot")]
    if not arms:
        return nothing_to_show(TITLE, "No arm was trained on sampled responses, so there is no curve in k.")
    budgets = [b for b in read_budgets({"response_budget": response_budget}) if b.split == split]
    teachers = teacher_order(arm.teacher for arm in arms)
    columns = 1 if narrow else min(3, len(teachers))
    figure = panels(teachers, columns=columns, heights=270 if narrow else 310, gap=76, side=0.03)
    ticks = sorted({arm.num_responses for arm in arms})
    targets = target_order(arm.target for arm in arms)
    groups = {teacher: _groups([arm for arm in arms if arm.teacher == teacher]) for teacher in teachers}
    y_range, missing = _heights(arms, budgets, split, max(len(group) for group in groups.values()))
    x_range = _widths(ticks, budgets)
    for panel, teacher in enumerate(teachers):
        at = place(panel, columns)
        for level, group in enumerate(groups[teacher]):
            shade = colour(TARGET_COLOURS, group[0].target, targets.index(group[0].target))
            _points(figure, at, group, split, shade)
            for budget in (b for b in budgets if b.matches(group[0])):
                _fit(figure, at, budget, ticks[0], x_range, shade)
                _mark(figure, at, budget, x_range, y_range[0], level, shade)
        _axes(figure, at, ticks, x_range, y_range, names_axis(panel, columns, len(teachers)))
    _legend(figure, targets)
    notes = (
        [f"{plural(missing, 'estimate')} at or below zero cannot be drawn on a logarithmic axis."] if missing else []
    )
    return finish(
        figure,
        TITLE,
        f"Log-log curves on the {split} split, one panel for each teacher: inter-student variance (filled points, fit "
        "a/k + b, dashed beyond the measured k), its response component (open points), the fit's falling part a/k "
        "(dotted; it holds interactions with responses too, so it may lie above the points), the floor b (thin line) "
        "and the recommended number of responses (vertical line).",
        head=96 if narrow else 78,
        notes=notes,
    )


def _axes(
    figure: go.Figure,
    at: tuple[int, int],
    ticks: Sequence[int],
    x_range: tuple[float, float],
    y_range: tuple[float, float],
    named: bool,
) -> None:
    figure.update_xaxes(
        type="log",
        range=[math.log10(bound) for bound in x_range],
        tickvals=list(ticks),
        title="responses per example, k" if named else None,
        row=at[0],
        col=at[1],
    )
    figure.update_yaxes(
        type="log",
        range=list(y_range),
        tickformat="~g",
        dtick=1,
        title="variance" if at[1] == 1 else None,
        showticklabels=at[1] == 1,
        row=at[0],
        col=at[1],
    )


def _groups(arms: Sequence[Arm]) -> list[list[Arm]]:
    """Arms that differ in k alone, each group by k, targets in their usual order."""
    groups: dict[tuple[object, ...], list[Arm]] = {}
    for arm in sorted(arms, key=lambda arm: arm.num_responses):
        groups.setdefault((arm.target, arm.weighting, arm.mixing, arm.temperature, arm.schedule), []).append(arm)
    order = target_order(arm.target for arm in arms)
    return sorted(groups.values(), key=lambda group: order.index(group[0].target))


def _points(figure: go.Figure, at: tuple[int, int], group: list[Arm], split: str, shade: str) -> None:
    looks = (
        ("inter_unbiased", "inter-student", "circle", 1.06),
        ("response", "response component", "circle-open", 1 / 1.06),
    )
    for component, name, symbol, shift in looks:
        shown = [(arm.num_responses, arm.component(component, split)) for arm in group]
        shown = [(k, value) for k, value in shown if value.estimate > 0.0]
        # Moved apart a little, so that the two error bars of a k do not hide each other.
        figure.add_scatter(
            x=[k * shift for k, _ in shown],
            y=[value.estimate for _, value in shown],
            error_y=bars_of([value for _, value in shown], color=shade),
            mode="markers",
            marker={"symbol": symbol, "size": 7.5, "color": shade, "line": {"width": 1.5, "color": shade}},
            name=f"{group[0].target}: {name}",
            showlegend=False,
            customdata=[[k, value.lower, value.upper] for k, value in shown],
            hovertemplate=f"{safe(group[0].label().split(',')[0])}, k = %{{customdata[0]}}<br>{name} %{{y:.4g}} "
            "[%{customdata[1]:.4g}, %{customdata[2]:.4g}]<extra></extra>",
            row=at[0],
            col=at[1],
        )


def _fit(
    figure: go.Figure, at: tuple[int, int], budget: Budget, smallest: int, x_range: tuple[float, float], shade: str
) -> None:
    inside = np.geomspace(smallest, budget.largest_measured, 60)
    # Up to the recommended k and a little beyond; a curve drawn much farther would claim what nobody measured.
    far = min(max(budget.recommended.estimate, 1.6 * budget.largest_measured), x_range[1])
    beyond = np.geomspace(budget.largest_measured, max(far, budget.largest_measured), 30)
    a, b = budget.response_variance.estimate, budget.floor.estimate
    lines = [
        ("fit a/k + b", inside, a / inside + b, "solid", 2.0),
        ("fit, extrapolated", beyond, a / beyond + b, "dash", 1.6),
        ("a/k", inside, a / inside, "dot", 1.4),
    ]
    if b > 0.0:
        lines.append(("floor b", np.array(x_range), np.full(2, b), "solid", 0.9))
    for name, x, y, dash, width in lines:
        figure.add_scatter(
            x=x,
            y=np.where(y > 0.0, y, np.nan),
            mode="lines",
            line={"color": shade, "dash": dash, "width": width},
            name=f"{budget.target}: {name}",
            showlegend=False,
            hoverinfo="skip",
            row=at[0],
            col=at[1],
        )


def _mark(
    figure: go.Figure,
    at: tuple[int, int],
    budget: Budget,
    x_range: tuple[float, float],
    bottom: float,
    level: int,
    shade: str,
) -> None:
    """The recommended k as a vertical line up to the fit, with its number at the foot; each target on its own line."""
    k = budget.recommended.estimate
    inside = k <= x_range[1]
    text = "no k suffices" if budget.unbounded else f"k = {k:.0f}" + ("" if inside else " →")
    height = budget.variance_at(k) if inside else math.nan
    if inside and height > 0.0:
        figure.add_scatter(
            x=[k, k],
            y=[10**bottom, height],
            mode="lines+markers",
            line={"color": shade, "width": 1.2},
            marker={
                "symbol": ["line-ns", "diamond"],
                "size": [0, 9],
                "color": shade,
                "opacity": 1,
                "line": {"width": 0},
            },
            name=f"{budget.target}: recommended k",
            showlegend=False,
            hovertemplate=f"recommended k = {k:.0f}<extra></extra>",
            row=at[0],
            col=at[1],
        )
    x = math.log10(k if inside else x_range[1])
    low, high = (math.log10(bound) for bound in x_range)
    right = (x - low) / (high - low) > 0.6
    figure.add_annotation(
        x=x,
        y=bottom,
        text=text,
        font={"color": shade, "size": 12},
        xanchor="right" if right else "left",
        yanchor="bottom",
        yshift=2 + 16 * level,
        xshift=-3 if right else 3,
        showarrow=False,
        row=at[0],
        col=at[1],
    )


def _heights(
    arms: Sequence[Arm], budgets: Sequence[Budget], split: str, num_groups: int
) -> tuple[tuple[float, float], int]:
    """The common log10 range of y with room at the foot for the recommended k, and how many points are left out."""
    values = [arm.component(name, split) for arm in arms for name in ("inter_unbiased", "response")]
    values = [value for value in values if value.known]
    positive = [value for value in values if value.estimate > 0.0] or [Estimate(1.0, 1.0, 1.0)]
    least = min(value.estimate for value in positive)
    lows = [max(value.lower, least / 3.0) for value in positive if value.measured] or [least]
    highs = [value.upper if value.measured else value.estimate for value in positive]
    floors = [budget.floor.estimate for budget in budgets if budget.floor.estimate > least / 3.0]
    low, high = math.log10(min([*lows, *floors, least])), math.log10(max(highs))
    span = max(high - low, 0.5)
    return (low - span * (0.04 + 0.065 * num_groups), high + 0.05 * span), len(values) - len(positive)


def _widths(ticks: Sequence[int], budgets: Sequence[Budget]) -> tuple[float, float]:
    reach = [b.recommended.estimate for b in budgets if b.recommended.estimate <= FARTHEST * ticks[-1]]
    return ticks[0] / 1.25, 1.25 * max([float(ticks[-1]), *reach])


def _legend(figure: go.Figure, targets: Sequence[str]) -> None:
    """Colours name targets, grey glyphs name the rest; empty traces carry them."""
    for index, target in enumerate(targets):
        look = {"color": colour(TARGET_COLOURS, target, index), "size": 10, "symbol": "square"}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=look, name=safe(TARGET_NAMES.get(target, target)))
    hollow = {"symbol": "circle-open", "color": MUTED, "size": 7.5, "line": {"width": 1.5, "color": MUTED}}
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="lines+markers",
        marker={"symbol": "circle", "color": MUTED, "size": 7.5},
        line={"color": MUTED, "width": 1.6},
        name="inter-student, a/k + b",
    )
    figure.add_scatter(x=[None], y=[None], mode="markers", marker=hollow, name="response component")
    figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": MUTED, "width": 1.4, "dash": "dot"}, name="a/k")
    figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": MUTED, "width": 0.9}, name="floor b")
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": "diamond", "size": 9, "color": MUTED},
        name="enough responses",
    )
