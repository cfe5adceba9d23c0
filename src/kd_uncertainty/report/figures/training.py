"""Training curves of teachers and students: the median and the middle four fifths at every epoch."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.report.figures.style import (
    TARGET_COLOURS,
    TEACHER_COLOURS,
    colour,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
    safe,
    translucent,
)
from kd_uncertainty.report.wording import TARGET_NAMES, target_order, teacher_order

TITLE = "Training curves"
QUANTILES = (0.1, 0.5, 0.9)
VALIDATION = (("NLL", "validation_nll"), ("MSE", "validation_mse"))
"""What is measured after every epoch: of classes, or of numbers scaled to variance 1."""


def training_curves(
    teacher_curves: pd.DataFrame, student_curves: pd.DataFrame, plan: pd.DataFrame, *, narrow: bool = False
) -> go.Figure:
    """Loss by epoch: teachers (training loss, validation NLL or MSE) by teacher, students (training loss) by target.

    Args:
        teacher_curves: The table ``teacher_curves``; empty where the soft labels are the user's own.
        student_curves: The table ``student_curves``.
        plan: The table ``plan``, which names each student's target; students are one group without it.
        narrow: One panel below the other, for narrow screens.
    """
    drawn: list[tuple[str, pd.DataFrame, str, str]] = []
    if len(teacher_curves):
        drawn += [("teachers: training loss", teacher_curves, "teacher", "train_loss")]
        name, column = next(curve for curve in VALIDATION if curve[1] in teacher_curves)
        drawn += [(f"teachers: validation {name}", teacher_curves, "teacher", column)]
    if len(student_curves):
        students = (
            student_curves.merge(_targets(plan), on="student")
            if len(plan)
            else student_curves.assign(target="students")
        )
        drawn += [("students: training loss", students, "target", "train_loss")]
    if not drawn:
        return nothing_to_show(TITLE, "No training curves were kept.")
    columns = 1 if narrow else len(drawn)
    figure = panels([title for title, *_ in drawn], columns=columns, heights=190 if narrow else 230, gap=66, side=0.07)
    shown: set[str] = set()
    for index, (_, frame, group, column) in enumerate(drawn):
        names = (
            teacher_order(frame[group].astype(str)) if group == "teacher" else target_order(frame[group].astype(str))
        )
        palette = TEACHER_COLOURS if group == "teacher" else TARGET_COLOURS
        for rank, name in enumerate(names):
            own = frame[frame[group] == name]
            label = f"{name} teacher" if group == "teacher" else f"students: {TARGET_NAMES.get(name, name)}"
            _band(
                figure,
                place(index, columns),
                own,
                column,
                (label, colour(palette, name, rank)),
                first=label not in shown,
            )
            shown.add(label)
        at = place(index, columns)
        figure.update_xaxes(
            title="epoch" if names_axis(index, columns, len(drawn)) else None, showgrid=False, row=at[0], col=at[1]
        )
        figure.update_yaxes(rangemode="tozero", nticks=6, row=at[0], col=at[1])
    return finish(
        figure,
        TITLE,
        "Loss against epoch. Lines are medians over ensemble members or students, bands hold the middle four fifths.",
        head=118 if narrow else 96,
    )


def _targets(plan: pd.DataFrame) -> pd.DataFrame:
    """Each student's target; losses that switch are curves of their own, since they jump."""
    found = plan[["student", "target"]]
    if "schedule" not in plan:
        return found
    return found.assign(target=found["target"].where(plan["schedule"] == CONSTANT, found["target"] + ", switching"))


def _band(
    figure: go.Figure, at: tuple[int, int], frame: pd.DataFrame, column: str, look: tuple[str, str], *, first: bool
) -> None:
    label, shade = look
    quantiles = frame.groupby("epoch")[column].quantile(np.array(QUANTILES)).unstack()  # noqa: PD010
    epochs = quantiles.index.to_numpy()
    low, middle, high = (quantiles[q].to_numpy() for q in QUANTILES)
    hidden = {"showlegend": False, "hoverinfo": "skip", "legendgroup": label, "row": at[0], "col": at[1]}
    figure.add_scatter(x=epochs, y=high, mode="lines", line={"width": 0}, name=f"{label}: 90 %", **hidden)
    figure.add_scatter(
        x=epochs,
        y=low,
        mode="lines",
        line={"width": 0},
        fill="tonexty",
        fillcolor=translucent(shade, 0.18),
        name=f"{label}: 10 %",
        **hidden,
    )
    figure.add_scatter(
        x=epochs,
        y=middle,
        mode="lines",
        line={"color": shade, "width": 2},
        name=safe(label),
        legendgroup=label,
        showlegend=first,
        hovertemplate=f"{safe(label)}<br>epoch %{{x}}: %{{y:.4f}}<extra></extra>",
        row=at[0],
        col=at[1],
    )
