"""Intra- and inter-student variance of real students against k, beside the law and the teacher's variance."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Place, Series, draw, line
from kd_uncertainty.report.figures.style import INK, MUTED, colour, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.language.arms import TRAIN, Arm, Study, scaled
from kd_uncertainty.report.language.figures.axes import aside, responses_axis
from kd_uncertainty.report.language.surrogate import Surrogate
from kd_uncertainty.report.language.wording import COLOURS, METHOD_NAMES, SPACE_NAMES, SPLIT_NAMES, share_text
from kd_uncertainty.report.wording import listing

TITLE = "Variance within and between students, as a share of the teacher’s"
PARTS = {"intra": "within a student (intra)", "inter": "between students (inter)"}
DASHED = "averaging"
"""The method whose variance in the surrogate is drawn beside that of real students."""

Cell = tuple[str, str, str]
"""Split, space and component of a panel."""


def law_figure(study: Study, surrogate: Surrogate, *, narrow: bool = False) -> go.Figure:
    """Intra and inter over V against k; a row of panels a split and space, a column a component.

    Args:
        study: The arms; intervals are those of the components, over the estimate of V.
        surrogate: Whose averaging is drawn beside that of real students.
        narrow: One panel below the other, for narrow screens.
    """
    cells = [
        (split, space, part)
        for split in study.splits
        for space in study.spaces(split)
        if study.spread(split, space).estimate > 0.0
        for part in PARTS
    ]
    if not cells:
        none = "No students were taught." if not study.spaces() else "The teacher’s answers do not vary, or too little."
        return nothing_to_show(TITLE, none)
    columns = 1 if narrow else 2
    titles = [
        f"{PARTS[part]}<br>{SPLIT_NAMES.get(split, split)}, {SPACE_NAMES.get(space, space)}"
        for split, space, part in cells
    ]
    figure = panels(titles, columns=columns, heights=190, gap=96, side=0.09)
    named: set[str] = set()
    for index, cell in enumerate(cells):
        at = place(index, columns)
        _references(figure, at, study, surrogate, cell, named)
        for rank, method in enumerate(study.methods):
            _students(figure, at, study, cell, (method, rank), named)
        counts = [float(arm.num_responses) for arm in study.arms]
        responses_axis(figure, at, counts, titled=names_axis(index, columns, len(cells)))
        figure.update_yaxes(tickformat=".0%", nticks=6, rangemode="tozero", row=at[0], col=at[1])
    return finish(figure, TITLE, _description(study), head=190 if narrow else 130)


def _references(figure: go.Figure, at: Place, study: Study, surrogate: Surrogate, cell: Cell, named: set[str]) -> None:
    """V itself, the law of students of all answers, and averaging in the surrogate."""
    split, space, part = cell
    counts = [float(arm.num_responses) for arm in study.arms]
    low, high = min(counts), max(*counts, 2.0)
    first = not named
    line(figure, at, [low, high], [1.0, 1.0], "the teacher’s variance V", MUTED, first=first, dash="dot")
    k = np.geomspace(low, high, 40)
    law = 1.0 - 1.0 / k if part == "intra" else 1.0 / k
    name = "law of all answers: intra (1 − 1/k) V, inter V/k"
    line(figure, at, k.tolist(), law.tolist(), name, INK, first=first)
    if split != TRAIN:
        return
    x, exact, simulated = surrogate.shares(DASHED, part, space)
    y = [b.estimate if math.isnan(a) else a for a, b in zip(exact, simulated, strict=True)]
    if x:
        name = "averaging in the surrogate"
        line(figure, at, x, y, name, COLOURS[DASHED], first=name not in named, dash="dash")
        named.add(name)
    named.add("references")


def _students(figure: go.Figure, at: Place, study: Study, cell: Cell, method: tuple[str, int], named: set[str]) -> None:
    split, space, part = cell
    name, rank = method
    arms, whole = study.of(name), study.spread(split, space).estimate
    x = aside([float(arm.num_responses) for arm in arms], rank, len(study.methods))
    values = [scaled(arm.component(part, split, space), 1.0 / whole) for arm in arms]
    label = METHOD_NAMES.get(name, name.replace("_", " "))
    if any(value.known for value in values):
        draw(figure, at, Series(label, colour(COLOURS, name, rank), x, values), first=label not in named)
        named.add(label)


def _description(study: Study) -> str:
    text = (
        "Points are arms with intervals; all is divided by the estimate of the teacher’s response variance V. The "
        "dashed line is where students of all answers would lie if they fitted them, as they can on prompts that they "
        "were trained on."
    )
    arms = study.of("multi")
    for space in study.spaces()[:1]:
        ends = list(dict.fromkeys((0, len(arms) - 1))) if arms else []
        told = [one for index in ends if (one := _told(study, arms[index], space))]
        if told:
            text += f" On {SPLIT_NAMES[TRAIN]}, {SPACE_NAMES.get(space, space)}: {listing(told)}."
    return text


def _told(study: Study, arm: Arm, space: str) -> str:
    intra, inter = (study.share(part, arm, TRAIN, space) for part in PARTS)
    if not (intra.known and inter.known):
        return ""
    return f"{arm.label} has intra {share_text(intra)} and inter {share_text(inter)}"
