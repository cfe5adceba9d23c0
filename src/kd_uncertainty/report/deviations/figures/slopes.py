"""Slopes and shares of every arm, students beside their controls, on training and test points."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.deviations.arms import (
    COLOURS,
    GROUP_NAMES,
    INTERPOLATING,
    STATISTIC_NAMES,
    Arm,
    judged,
    read_arms,
)
from kd_uncertainty.report.deviations.figures.dots import ROW, Dots, draw_dots, reach
from kd_uncertainty.report.figures.style import finish, nothing_to_show, panels, place
from kd_uncertainty.report.wording import number, percent

TITLE = "Do students exaggerate their teacher’s confidence, and more than networks without a teacher?"
STATISTICS = {"slope_low_quartile": 1.0, "slope": 1.0, "low_decile_below": 0.5}
"""What is drawn, and the value of a student that copies its teacher, or that knows nothing of it."""
SPLITS = ("train", "test")
MANY, NARROW_ROW = 16, 18
"""With more arms than these their rows are as narrow."""


def deviations_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Slopes and the share below the teacher by arm; a row of panels a statistic, a column a split.

    Args:
        table: The table ``deviations``.
        narrow: One panel below the other, for narrow screens.
    """
    arms = read_arms({"deviations": table})
    cells = [(name, split) for name in STATISTICS for split in SPLITS if any(a.figure(name, split).known for a in arms)]
    if not cells:
        return nothing_to_show(TITLE, "No students were compared with a teacher.")
    columns = 1 if narrow else 2
    figure = panels(
        [f"{STATISTIC_NAMES[name]}: {split} points" for name, split in cells],
        columns=columns,
        heights=(ROW if len(arms) <= MANY else NARROW_ROW) * len(arms) + 14,
        gap=70,
        side=0.04,
    )
    named: set[str] = set()
    rows = [arm.label for arm in arms]
    for index, (name, split) in enumerate(cells):
        at = place(index, columns)
        groups = [Dots(GROUP_NAMES[g], COLOURS[g], [arm.figure(name, split, g) for arm in arms]) for g in GROUP_NAMES]
        draw_dots(figure, at, rows, groups, named=named, reference=STATISTICS[name])
        both = [arm.figure(name, one, group) for arm in arms for one in SPLITS for group in GROUP_NAMES]
        figure.update_xaxes(
            range=reach([both], [STATISTICS[name]]),
            tickformat=".0%" if name == "low_decile_below" else None,
            nticks=7,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(showticklabels=at[1] == 1, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(arms), head=110 if narrow else 80)


def _description(arms: Sequence[Arm]) -> str:
    text = (
        "A slope above 1 exaggerates, a share above one half underestimates; neither says anything without the "
        "control, which never saw the teacher."
    )
    own = judged(arms, INTERPOLATING) or arms
    arm = own[0]
    for split in SPLITS:
        slope, beside = arm.figure("slope_low_quartile", split), arm.beside("slope_low_quartile", split)
        share, other = arm.figure("low_decile_below", split), arm.beside("low_decile_below", split)
        if slope.known and beside.known and share.known and other.known:
            text += (
                f" On {split} points ({arm.label}) the slope is {number(slope.estimate, 2)} and the control’s "
                f"{number(beside.estimate, 2)}, the share {percent(share.estimate, 0)} and "
                f"{percent(other.estimate, 0)}."
            )
    return text
