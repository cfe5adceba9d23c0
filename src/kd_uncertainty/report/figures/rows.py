"""The grid that the two bar figures share: a panel a teacher, a row an arm, the control in every panel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.loss_schedules import TO_LABELS, parse_switch
from kd_uncertainty.report.arms import Arm, Cell, read_arms
from kd_uncertainty.report.figures.style import names_axis, panels, place, safe
from kd_uncertainty.report.wording import TARGETS, teacher_order

ROW_HEIGHT = 19
GROUP_GAP = 0.55


@dataclass(frozen=True)
class Rows:
    """Panels with the arms of each, and the height at which each arm's bar lies."""

    figure: go.Figure
    columns: int
    teachers: tuple[str, ...]
    arms: tuple[tuple[Arm, ...], ...]
    heights: dict[Cell, float]

    def y(self, panel: int) -> list[float]:
        """The heights of a panel's bars."""
        return [self.heights[arm.cell] for arm in self.arms[panel]]

    def names(self, panel: int) -> list[str]:
        """The names of a panel's arms, for hovering."""
        return [
            safe(f"{arm.teacher}, {arm.label()}" if not arm.is_control else "one-hot control")
            for arm in self.arms[panel]
        ]


def arms_with_components(components: pd.DataFrame, split: str) -> list[Arm]:
    """The arms that have components on a split."""
    return [arm for arm in read_arms({"variance_components": components}) if split in arm.components]


def rows(arms: Sequence[Arm], *, narrow: bool, columns: int = 3, axis_title: str) -> Rows:
    """Lay the arms out: rows ordered by target, then k, with a little air between targets."""
    teachers = teacher_order(arm.teacher for arm in arms) or ["none"]
    controls = [arm for arm in arms if arm.is_control]
    by_teacher = [[arm for arm in arms if arm.teacher == name and not arm.is_control] + controls for name in teachers]
    cells = sorted({arm.cell for arm in arms}, key=_position)
    heights, texts = _heights(arms, cells)
    extent = max(heights.values()) + 1.0
    columns = 1 if narrow else min(columns, len(teachers))
    figure = panels(teachers, columns=columns, heights=extent * ROW_HEIGHT, gap=62, side=0.03)
    for index in range(len(teachers)):
        row, column = place(index, columns)
        figure.update_yaxes(
            range=[extent - 0.4, -0.6],
            tickvals=list(heights.values()),
            ticktext=texts,
            showticklabels=column == 1,
            showgrid=False,
            zeroline=False,
            row=row,
            col=column,
        )
        figure.update_xaxes(
            title=axis_title if names_axis(index, columns, len(teachers)) else None, nticks=4, row=row, col=column
        )
    return Rows(figure, columns, tuple(teachers), tuple(tuple(group) for group in by_teacher), heights)


def _position(cell: Cell) -> tuple[object, ...]:
    target, num_responses, weighting, mixing, temperature, schedule = cell
    rank = TARGETS.index(target) if target in TARGETS else 9
    switch = parse_switch(schedule)
    last = (0, 0.0) if switch is None else (1 + (switch.direction == TO_LABELS), switch.share)
    return rank, weighting, -mixing, temperature, *last, num_responses


def _heights(arms: Sequence[Arm], cells: Sequence[Cell]) -> tuple[dict[Cell, float], list[str]]:
    """Heights by cell, and tick texts that name a target once and then only k."""
    labels = {arm.cell: (arm.target, arm.label(), arm.variant(), arm.num_responses) for arm in arms}
    heights, texts = {}, []
    level, previous = 0.0, None
    for cell in cells:
        target, label, variant, num_responses = labels[cell]
        group = (target, variant)
        level += GROUP_GAP if previous is not None and previous != group else 0.0
        heights[cell] = level
        texts.append(safe(str(num_responses) if previous == group else label))
        level, previous = level + 1.0, group
    return heights, texts
