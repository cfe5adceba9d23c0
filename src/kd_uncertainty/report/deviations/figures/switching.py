"""Gains over one-hot labels by the switch point, in both directions, beside distillation and stopping early."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.deviations.arms import teacher_name
from kd_uncertainty.report.deviations.schedules import COLOURS, METRICS, Schedule, find, read_schedules, teachers_of
from kd_uncertainty.report.figures.series import Place, Series, band, draw, line
from kd_uncertainty.report.figures.style import MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.wording import METRIC_NAMES, listing, percent

TITLE = "When in training does distillation help?"
SPLIT = "test"
SWITCHES = {"to_distillation": "labels, then distillation", "to_one_hot": "distillation, then labels"}
BANDS = {"distillation": "distillation all the way", "equal_progress": "labels alone, stopped early"}
ENDS = {"to_distillation": ("distillation", "one_hot"), "to_one_hot": ("one_hot", "distillation")}
"""What a switch at the start and one at the end would be."""


def switching_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The gain in test accuracy and NLL against the switch point; a row of panels a metric, a column a teacher.

    Args:
        table: The table ``switching``.
        narrow: One panel below the other, for narrow screens.
    """
    schedules = read_schedules({"switching": table})
    teachers = teachers_of(schedules)
    if not teachers:
        return nothing_to_show(TITLE, "The loss was not switched.")
    cells = [(metric, teacher) for metric in METRICS for teacher in teachers]
    columns = 1 if narrow else len(teachers)
    figure = panels(
        [f"{teacher_name(teacher)} teacher: gain in {METRIC_NAMES[metric]}" for metric, teacher in cells],
        columns=columns,
        heights=230 if narrow else 250,
        gap=78,
        side=0.1,
    )
    for index, (metric, teacher) in enumerate(cells):
        at = place(index, columns)
        _panel(figure, at, [one for one in schedules if one.teacher == teacher], metric, first=index == 0)
        figure.update_xaxes(
            title="share of training before the switch" if names_axis(index, columns, len(cells)) else None,
            tickformat=".0%",
            range=[-0.04, 1.04],
            nticks=6,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(nticks=6, tickformat=".0%" if metric == "accuracy" else None, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(schedules), head=140 if narrow else 100)


def _panel(figure: go.Figure, at: Place, schedules: Sequence[Schedule], metric: str, *, first: bool) -> None:
    by_kind = {one.schedule: one for one in schedules}
    line(figure, at, [0.0, 1.0], [0.0, 0.0], "labels alone", MUTED, first=first, dash="dot")
    for kind, name in BANDS.items():
        if kind in by_kind:
            band(figure, at, [0.0, 1.0], by_kind[kind].gain(metric, SPLIT), name, COLOURS[kind], first=first)
    for kind, name in SWITCHES.items():
        own = [(one.switch, one.gain(metric, SPLIT)) for one in schedules if one.schedule == kind]
        start, end = (by_kind[other].gain(metric, SPLIT) if other in by_kind else None for other in ENDS[kind])
        points = [*([(0.0, start)] if start else []), *sorted(own), *([(1.0, end)] if end else [])]
        if own:
            x, values = zip(*points, strict=True)
            draw(figure, at, Series(name, COLOURS[kind], x, values), first=first)


def _description(schedules: Sequence[Schedule]) -> str:
    text = (
        "Gains are over one-hot labels on the test split, paired over seeds; the bands are schedules without a switch."
    )
    for kind, words in (("to_distillation", "Switching to distillation half-way"), ("to_one_hot", "switching back")):
        found = [find(schedules, teacher, kind, 0.5) for teacher in teachers_of(schedules)]
        shares = [
            f"{percent(one.recovered('accuracy', SPLIT).estimate, 0)} ({teacher_name(one.teacher)})"
            for one in found
            if one is not None and one.recovered("accuracy", SPLIT).known
        ]
        if shares:
            verb = "recovers" if kind == "to_distillation" else "keeps"
            text += f" {words[0].upper()}{words[1:]} {verb} {listing(shares)} of the gain in accuracy."
    return text
