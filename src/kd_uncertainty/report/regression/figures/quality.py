"""How good the regression students are: MSE of every arm, with the teacher and the control as references."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.figures.series import Place, Series, draw, line
from kd_uncertainty.report.figures.style import (
    INK,
    MUTED,
    SPARE_COLOURS,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
)
from kd_uncertainty.report.regression.arms import SAMPLED, RegressionArm, curve_label, read_arms, variant
from kd_uncertainty.report.regression.figures.sources import panels_of

TITLE = "Quality of the students"


def student_quality(
    arm_metrics: pd.DataFrame, teacher_metrics: pd.DataFrame, split: str = "test", *, narrow: bool = False
) -> go.Figure:
    """Mean MSE of each arm with intervals against k; a panel a model and teacher.

    Args:
        arm_metrics: The table ``arm_metrics``.
        teacher_metrics: The table ``teacher_metrics``; may be empty.
        split: The split to show.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"arm_metrics": arm_metrics}) if arm.metric("mse", split).known]
    if not arms:
        return nothing_to_show(TITLE, f"No students on the {split} split.")
    groups = panels_of(arms)
    counts = sorted({arm.num_responses for arm in arms if arm.target in SAMPLED})
    slots = [*(str(k) for k in counts), *(["exact"] if any(arm.target == "exact" for arm in arms) else [])]
    slots = slots or ["all"]
    columns = 1 if narrow else min(2, len(groups))
    figure = panels(list(groups), columns=columns, heights=200 if narrow else 230, gap=66, side=0.1)
    names = list(dict.fromkeys(_name(arm) for arm in arms if not arm.is_control))
    shades = {name: SPARE_COLOURS[index % len(SPARE_COLOURS)] for index, name in enumerate(names)}
    named: set[str] = set()
    for index, group in enumerate(groups.values()):
        at = place(index, columns)
        _references(figure, at, group, teacher_metrics, split, len(slots), first=index == 0)
        for name in [name for name in names if any(_name(arm) == name and not arm.is_control for arm in group)]:
            own = [arm for arm in group if _name(arm) == name and not arm.is_control]
            series = Series(name, shades[name], _places(own, slots, names.index(name), len(names)), _values(own, split))
            draw(figure, at, series, first=name not in named, lines=len(own) > 1)
            named.add(name)
        figure.update_xaxes(
            tickvals=list(range(len(slots))), ticktext=slots, range=[-0.6, len(slots) - 0.4], showgrid=False,
            zeroline=False, title="responses per example, k" if names_axis(index, columns, len(groups)) else None,
            row=at[0], col=at[1],
        )  # fmt: skip
        figure.update_yaxes(nticks=6, tickformat="~s", title="MSE" if at[1] == 1 else None, row=at[0], col=at[1])
    return finish(
        figure,
        TITLE,
        f"Mean squared error of the students of each arm on the {split} split, with intervals, against the number of "
        "responses; one panel for each kind of student and teacher. Dashed: the teacher itself; dotted: students "
        "trained on the data's own targets.",
        head=90 if narrow else 70,
    )


def _name(arm: RegressionArm) -> str:
    return curve_label(arm.target, arm.noise) + variant(arm.mixing, arm.weighting)


def _values(arms: Sequence[RegressionArm], split: str) -> list[Estimate]:
    return [arm.metric("mse", split) for arm in arms]


def _places(arms: Sequence[RegressionArm], slots: Sequence[str], rank: int, count: int) -> list[float]:
    names = [str(arm.num_responses) if arm.target in SAMPLED else "exact" for arm in arms]
    aside = 0.5 * ((rank + 0.5) / count - 0.5)
    return [
        slots.index(name) + (aside if arm.target in SAMPLED else 0.0) for name, arm in zip(names, arms, strict=True)
    ]


def _references(
    figure: go.Figure,
    at: Place,
    group: Sequence[RegressionArm],
    teacher_metrics: pd.DataFrame,
    split: str,
    width: int,
    *,
    first: bool,
) -> None:
    ends = [-0.6, width - 0.4]
    teacher = next((arm.teacher for arm in group if not arm.is_control), "")
    own = teacher_figure(teacher_metrics, teacher, "mse", split)
    line(figure, at, ends, [own.estimate] * 2, "the teacher", INK, first=first, dash="dash")
    for arm in group:
        if arm.is_control:
            value = arm.metric("mse", split).estimate
            line(figure, at, ends, [value] * 2, "trained on ground truth", MUTED, first=first, dash="dot")


def teacher_figure(metrics: pd.DataFrame, teacher: str, metric: str, split: str) -> Estimate:
    """A teacher's metric on a split; NaN where it is not in the table."""
    if metrics.empty:
        return NO_ESTIMATE
    own = metrics[(metrics["teacher"] == teacher) & (metrics["metric"] == metric) & (metrics["split"] == split)]
    return estimate_of(own.to_dict("records")[0]) if len(own) else NO_ESTIMATE
