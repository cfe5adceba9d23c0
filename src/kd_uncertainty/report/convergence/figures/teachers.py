"""What about a teacher tells how good its students become: its squared error, or its calibration error."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import NetworkArm, read_arms, shades_of
from kd_uncertainty.report.convergence.claims.teachers import rank_correlation
from kd_uncertainty.report.figures.series import Place, line
from kd_uncertainty.report.figures.style import MUTED, bars_of, finish, nothing_to_show, panels, place, safe
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import number, with_bounds

TITLE = "The teacher’s error and its students"

Point = tuple[NetworkArm, Estimate, Estimate]


def teacher_error_figure(stability: pd.DataFrame, teacher_error: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Students' test NLL against their teacher's squared error on the training points and against its test ECE.

    Args:
        stability: The table ``stability``.
        teacher_error: The table ``teacher_error``; may be empty.
        narrow: One panel below the other, for narrow screens.
    """
    arms = read_arms({"stability": stability})
    teachers = [arm for arm in arms if arm.is_teacher and arm.key.mixing == 1.0 and arm.metric("nll", "test").known]
    if not teachers:
        return nothing_to_show(TITLE, "No networks were trained on a teacher’s labels.")
    ece = {} if missing(teacher_error, ("teacher", "split", "metric", "estimate")) else _ece(teacher_error)
    sides: list[tuple[str, list[Point]]] = [
        ("squared error to the Bayes probabilities,<br>training points", _points(teachers, _errors(teachers))),
        ("calibration error (ECE),<br>test points", _points(teachers, ece)),
    ]
    sides = [side for side in sides if side[1]]
    if not sides:
        return nothing_to_show(TITLE, "Neither the teachers’ squared error nor their calibration error is known.")
    shades = shades_of([arm.key for arm in teachers])
    columns = 1 if narrow else 2
    figure = panels([name for name, _ in sides], columns=columns, heights=260 if narrow else 300, gap=96, side=0.1)
    for index, (_, points) in enumerate(sides):
        at = place(index, columns)
        for arm, x, y in points:
            _point(figure, at, arm, x, y, shades[arm.key.label], first=index == 0)
        _references(figure, at, arms, points, first=index == 0)
        figure.update_xaxes(rangemode="tozero", nticks=6, title="the teacher’s error", row=at[0], col=at[1])
        figure.update_yaxes(nticks=6, title="students’ test NLL" if at[1] == 1 else None, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(sides), head=150 if narrow else 120)


def _errors(teachers: Sequence[NetworkArm]) -> dict[str, Estimate]:
    return {arm.key.teacher: arm.metric("target_error", "train") for arm in teachers}


def _ece(table: pd.DataFrame) -> dict[str, Estimate]:
    rows = choose(table, split="test", metric="ece").to_dict("records")
    return {str(row["teacher"]): estimate_of(row) for row in rows}


def _points(teachers: Sequence[NetworkArm], by: dict[str, Estimate]) -> list[Point]:
    found = [(arm, by.get(arm.key.teacher), arm.metric("nll", "test")) for arm in teachers]
    return [(arm, x, y) for arm, x, y in found if x is not None and x.known]


def _point(figure: go.Figure, at: Place, arm: NetworkArm, x: Estimate, y: Estimate, shade: str, *, first: bool) -> None:
    name = arm.key.label
    figure.add_scatter(
        x=[x.estimate],
        y=[y.estimate],
        error_x=bars_of([x], color=shade),
        error_y=bars_of([y], color=shade),
        mode="markers",
        marker={"size": 9, "color": shade},
        name=safe(name),
        legendgroup=name,
        showlegend=first,
        hovertemplate=f"{safe(name)}<br>error {with_bounds(x)}<br>NLL {with_bounds(y)}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _references(
    figure: go.Figure, at: Place, arms: Sequence[NetworkArm], points: Sequence[Point], *, first: bool
) -> None:
    """The NLL with one-hot labels and with exact probabilities, as lines over the range of the points."""
    ends = [0.0, 1.05 * max(x.upper if x.measured else x.estimate for _, x, _ in points)]
    for kind, name, dash in (("one_hot", "one-hot labels", "dash"), ("exact", "exact probabilities", "dot")):
        value = next((arm.metric("nll", "test") for arm in arms if arm.key.arm == kind), None)
        if value is not None and value.known:
            line(figure, at, ends, [value.estimate] * 2, name, MUTED, first=first, dash=dash)


def _description(sides: Sequence[tuple[str, list[Point]]]) -> str:
    texts = []
    for name, points in sides:
        rho, _ = rank_correlation([x.estimate for _, x, _ in points], [y.estimate for *_, y in points])
        if not math.isnan(rho):
            texts.append(f"{number(rho, 2)} with the {name.split(',')[0]}")
    ranks = f" The rank correlation of the students’ NLL is {' and '.join(texts)}." if texts else ""
    return f"A point a teacher, with intervals; the lines are students of one-hot labels and of exact ones.{ranks}"
