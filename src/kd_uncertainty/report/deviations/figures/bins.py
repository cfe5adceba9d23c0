"""Students' log-odds against their teacher's: binned medians beside the diagonal, with the control's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.deviations.arms import (
    COLOURS,
    GROUP_NAMES,
    STUDENTS,
    TEACHERS,
    Arm,
    key_of,
    reference_temperature,
    teacher_name,
)
from kd_uncertainty.report.deviations.figures.dots import reach
from kd_uncertainty.report.figures.series import Series, draw, line
from kd_uncertainty.report.figures.style import MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import number, ordered

TITLE = "How sure students are of their teacher’s choice, against how sure the teacher is"
COLUMNS = ("teacher", "split", "group", "bin", "teacher_logit", "median", "lower_quartile", "upper_quartile")
SPLITS = ("train", "test")


def bins_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Binned medians with quartiles of students and controls; a row of panels a teacher, a column a split.

    Of all students those of the teacher's own network at the reference temperature are drawn.

    Args:
        table: The table ``deviation_bins``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "No students were compared with a teacher.")
    arms = [_chosen(table, teacher) for teacher in ordered(table["teacher"].astype(str), TEACHERS)]
    cells = [(arm, split, _rows(table, arm, split)) for arm in arms for split in SPLITS]
    cells = [cell for cell in cells if cell[-1]]
    if not cells:
        return nothing_to_show(TITLE, "There are no training or test points.")
    columns = 1 if narrow else 2
    titles = [f"{teacher_name(arm.teacher)} teacher: {split} points" for arm, split, _ in cells]
    figure = panels(titles, columns=columns, heights=260 if narrow else 290, gap=84, side=0.09)
    named: set[str] = set()
    for index, (_, _, rows) in enumerate(cells):
        at = place(index, columns)
        ends = reach([[_teacher(row) for row in rows]], [])
        line(figure, at, ends, ends, "student as sure as the teacher", MUTED, first=index == 0, dash="dot")
        for group in ordered([str(row["group"]) for row in rows], tuple(GROUP_NAMES)):
            own = sorted((row for row in rows if row["group"] == group), key=lambda row: row["teacher_logit"])
            name = GROUP_NAMES.get(group, group)
            values = [Estimate(row["median"], row["lower_quartile"], row["upper_quartile"]) for row in own]
            series = Series(name, COLOURS.get(group, MUTED), [float(row["teacher_logit"]) for row in own], values)
            draw(figure, at, series, first=name not in named)
            named.add(name)
        figure.update_xaxes(
            title="teacher’s log-odds, nats" if names_axis(index, columns, len(cells)) else None,
            nticks=7,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(title="log-odds, nats" if at[1] == 1 else None, nticks=7, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(cells), head=140 if narrow else 100)


def _teacher(row: dict[str, Any]) -> Estimate:
    return Estimate(row["teacher_logit"], row["teacher_logit"], row["teacher_logit"])


def _chosen(table: pd.DataFrame, teacher: str) -> Arm:
    """The arm of a teacher that is drawn: its own network, at the reference temperature."""
    keys = {key_of(row) for row in table[table["teacher"] == teacher].to_dict("records")}
    student = ordered([student for _, student, _ in sorted(keys)], STUDENTS)[0]
    arms = [Arm(*key) for key in keys if key[1] == student]
    return Arm(teacher, student, reference_temperature(arms))


def _rows(table: pd.DataFrame, arm: Arm, split: str) -> list[dict[str, Any]]:
    key = arm.teacher, arm.student, arm.temperature
    rows = [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]
    return [row for row in rows if row["split"] == split and key_of(row) == key]


def _description(cells: Sequence[tuple[Arm, str, list[dict[str, Any]]]]) -> str:
    arm, split, rows = cells[0]
    text = (
        "Points are medians over the examples of a bin, of the class that the teacher chooses; below the diagonal a "
        "student is less sure than its teacher."
    )
    lowest = {str(row["group"]): row for row in rows if row["bin"] == 0}
    if {"student", "control"} <= set(lowest):
        student, control = lowest["student"], lowest["control"]
        text += (
            f" In the bin where the teacher is least sure ({arm.label}, {split}) it has "
            f"{number(student['teacher_logit'], 2)}, its students {number(student['median'], 2)}, the control "
            f"{number(control['median'], 2)}."
        )
    return text
