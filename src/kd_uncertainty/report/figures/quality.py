"""How good the students are: accuracy and NLL of every arm, with teacher and one-hot control as references."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.report.arms import Arm, read_arms
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.style import (
    INK,
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
    translucent,
)
from kd_uncertainty.report.wording import METRIC_NAMES, TARGET_NAMES, target_order, teacher_order

TITLE = "Quality of the students"
METRICS = ("accuracy", "nll")


def student_quality(
    arm_metrics: pd.DataFrame, teacher_metrics: pd.DataFrame, split: str = "test", *, narrow: bool = False
) -> go.Figure:
    """Mean accuracy and NLL of each arm with intervals against k; a column a teacher, a row a metric.

    Args:
        arm_metrics: The table ``arm_metrics``.
        teacher_metrics: The table ``teacher_metrics``; may be empty.
        split: The split to show.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"arm_metrics": arm_metrics}) if split in arm.metrics]
    teachers = teacher_order(arm.teacher for arm in arms)
    if not arms or not teachers:
        return nothing_to_show(TITLE, f"No students of a teacher on the {split} split.")
    control = next((arm for arm in arms if arm.is_control), None)
    targets = target_order(arm.target for arm in arms if not arm.is_control)
    slots = _slots(arms)
    figure, cells, columns = _layout(teachers, narrow)
    ranges = {metric: _range(arms, teacher_metrics, metric, split) for metric in METRICS}
    for index, (teacher, metric) in enumerate(cells):
        at = place(index, columns)
        if not teacher:
            figure.update_xaxes(visible=False, row=at[0], col=at[1])
            figure.update_yaxes(visible=False, row=at[0], col=at[1])
            continue
        reference = _teacher(teacher_metrics, teacher, metric, split)
        _reference(figure, at, reference, slots, "teacher", "dash", first=index == 0)
        if control is not None:
            _reference(figure, at, control.metric(metric, split), slots, "one-hot control", "dot", first=index == 0)
        for rank, target in enumerate(targets):
            own = [arm for arm in arms if arm.teacher == teacher and arm.target == target]
            _points(figure, at, own, metric, split, slots, (rank, len(targets)))
        named = at[1] == 1 or len(teachers) == 1
        _axes(figure, at, metric, slots, ranges[metric], (names_axis(index, columns, len(cells)), named))
    _legend(figure, targets, switching=any(arm.schedule != CONSTANT for arm in arms))
    return finish(
        figure,
        TITLE,
        "Mean accuracy (higher is better) and negative log-likelihood (lower is better) of the students of each arm on "
        f"the {split} split, with intervals, against the number of responses; one column for each teacher. Dashed: the "
        "teacher itself; dotted: students trained on one-hot labels.",
        head=90 if narrow else 70,
    )


def _axes(
    figure: go.Figure,
    at: tuple[int, int],
    metric: str,
    slots: dict[str, int],
    span: list[float],
    named: tuple[bool, bool],
) -> None:
    figure.update_xaxes(
        tickvals=list(slots.values()),
        ticktext=list(slots),
        range=[-0.6, len(slots) - 0.4],
        showgrid=False,
        zeroline=False,
        title="responses per example, k" if named[0] else None,
        row=at[0],
        col=at[1],
    )
    figure.update_yaxes(
        range=span,
        tickformat=".0%" if metric == "accuracy" and span[1] - span[0] > 0.04 else None,
        nticks=6,
        title=METRIC_NAMES[metric] if named[1] else None,
        showticklabels=named[1],
        row=at[0],
        col=at[1],
    )


def _layout(teachers: Sequence[str], narrow: bool) -> tuple[go.Figure, list[tuple[str, str]], int]:
    """Teachers across, metrics down, in pairs of rows beyond three teachers; a single one has both abreast."""
    columns = 1 if narrow else 2 if len(teachers) == 1 else min(3, len(teachers))
    cells: list[tuple[str, str]] = []
    if narrow or len(teachers) == 1:
        cells = [(teacher, metric) for teacher in teachers for metric in METRICS]
    else:
        for start in range(0, len(teachers), columns):
            block = teachers[start : start + columns]
            block = [*block, *[""] * (columns - len(block))]
            cells += [(teacher, metric) for metric in METRICS for teacher in block]
    titles = ["" if not teacher else f"{teacher}: {METRIC_NAMES[metric]}" for teacher, metric in cells]
    figure = panels(
        titles, columns=columns, heights=180 if narrow else 190, gap=60, side=0.1 if len(teachers) == 1 else 0.03
    )
    return figure, cells, columns


def _slots(arms: Sequence[Arm]) -> dict[str, int]:
    """Places on the axis: every k that was measured, then the exact target."""
    counts = sorted({arm.num_responses for arm in arms if arm.target not in ("exact", "one_hot")})
    names = [str(k) for k in counts] + (["exact"] if any(arm.target == "exact" for arm in arms) else [])
    return {name: index for index, name in enumerate(names)}


def _points(
    figure: go.Figure,
    at: tuple[int, int],
    arms: Sequence[Arm],
    metric: str,
    split: str,
    slots: dict[str, int],
    rank: tuple[int, int],
) -> None:
    if not arms:
        return
    arms = sorted(arms, key=lambda arm: arm.num_responses)
    target = arms[0].target
    shade = colour(TARGET_COLOURS, target, rank[0])
    values = [arm.metric(metric, split) for arm in arms]
    aside = 0.0 if target == "exact" else 0.16 * (rank[0] - (rank[1] - 1) / 2.0)
    plain = all(not arm.variant() for arm in arms)
    figure.add_scatter(
        x=[slots[str(arm.num_responses) if target != "exact" else "exact"] + aside for arm in arms],
        y=[value.estimate for value in values],
        error_y=bars_of(values, color=shade),
        mode="lines+markers" if plain else "markers",
        line={"color": translucent(shade, 0.45), "width": 1.3},
        marker={"color": shade, "size": 7, "symbol": _symbols(arms)},
        name=safe(TARGET_NAMES.get(target, target)),
        showlegend=False,
        customdata=[[safe(arm.label()), value.lower, value.upper] for arm, value in zip(arms, values, strict=True)],
        hovertemplate="%{customdata[0]}<br>%{y:.4f} [%{customdata[1]:.4f}, %{customdata[2]:.4f}]<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _reference(
    figure: go.Figure, at: tuple[int, int], value: Estimate, slots: dict[str, int], name: str, dash: str, *, first: bool
) -> None:
    if not value.known:
        return
    ink = INK if name == "teacher" else MUTED
    figure.add_scatter(
        x=[-0.6, len(slots) - 0.4],
        y=[value.estimate] * 2,
        mode="lines",
        line={"color": ink, "dash": dash, "width": 1.5},
        name=name,
        legendgroup=name,
        showlegend=first,
        meta="ink" if name == "teacher" else None,
        hovertemplate=f"{name} %{{y:.4f}}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _teacher(metrics: pd.DataFrame, teacher: str, metric: str, split: str) -> Estimate:
    if metrics.empty or not teacher:
        return Estimate(float("nan"), float("nan"), float("nan"))
    own = metrics[(metrics["teacher"] == teacher) & (metrics["metric"] == metric) & (metrics["split"] == split)]
    return estimate_of(own.to_dict("records")[0] if len(own) else {})


def _range(arms: Sequence[Arm], metrics: pd.DataFrame, metric: str, split: str) -> list[float]:
    """One scale a metric for all teachers."""
    values = [arm.metric(metric, split) for arm in arms]
    values += [_teacher(metrics, name, metric, split) for name in {arm.teacher for arm in arms}]
    numbers = [bound for value in values for bound in value if not math.isnan(bound)]
    low, high = min(numbers), max(numbers)
    air = 0.05 * (high - low) or 0.01
    return [low - air, high + air]


def _symbols(arms: Sequence[Arm]) -> list[str] | None:
    """Filled points, and open ones where the loss switches; None where none does."""
    symbols = ["circle" if arm.schedule == CONSTANT else "circle-open" for arm in arms]
    return symbols if "circle-open" in symbols else None


def _legend(figure: go.Figure, targets: Sequence[str], *, switching: bool) -> None:
    for index, target in enumerate(targets):
        look = {"color": colour(TARGET_COLOURS, target, index), "size": 8}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=look, name=safe(TARGET_NAMES.get(target, target)))
    if switching:
        hollow = {"color": MUTED, "size": 8, "symbol": "circle-open"}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=hollow, name="the loss switches")
