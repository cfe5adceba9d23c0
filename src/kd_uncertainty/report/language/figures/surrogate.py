"""The tabular surrogate: enumerated variances as lines, simulated students as points, the law beneath."""

from __future__ import annotations

import math

import numpy as np
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Series, draw, line
from kd_uncertainty.report.figures.style import (
    INK,
    colour,
    finish,
    names_axis,
    nothing_to_show,
    panels,
    place,
    translucent,
)
from kd_uncertainty.report.language.figures.axes import aside, responses_axis
from kd_uncertainty.report.language.figures.law import PARTS
from kd_uncertainty.report.language.surrogate import Surrogate
from kd_uncertainty.report.language.wording import COLOURS, METHOD_NAMES, SPACE_NAMES
from kd_uncertainty.report.wording import listing, percent

TITLE = "What must hold: students that fit their answers exactly"


def surrogate_figure(surrogate: Surrogate, *, narrow: bool = False) -> go.Figure:
    """Intra and inter over V against k; a row of panels a space, a column a component.

    Args:
        surrogate: The points, enumerated and simulated.
        narrow: One panel below the other, for narrow screens.
    """
    cells = [(space, part) for space in surrogate.spaces if surrogate.spread(space) > 0.0 for part in PARTS]
    if not cells:
        return nothing_to_show(TITLE, "The surrogate was not run.")
    columns = 1 if narrow else 2
    titles = [f"{PARTS[part]}: {SPACE_NAMES.get(space, space)}" for space, part in cells]
    figure = panels(titles, columns=columns, heights=210, gap=84, side=0.09)
    counts = sorted({float(one.num_responses) for one in surrogate.points})
    named: set[str] = set()
    for index, (space, part) in enumerate(cells):
        at = place(index, columns)
        k = np.geomspace(counts[0], max(counts[-1], 2.0), 40)
        law = 1.0 - 1.0 / k if part == "intra" else 1.0 / k
        name = "law: intra (1 − 1/k) V, inter V/k"
        line(figure, at, k.tolist(), law.tolist(), name, INK, first=index == 0, dash="dot")
        for rank, method in enumerate(surrogate.methods):
            x, exact, simulated = surrogate.shares(method, part, space)
            shade, label = colour(COLOURS, method, rank), METHOD_NAMES.get(method, method.replace("_", " "))
            known = [(at_k, value) for at_k, value in zip(x, exact, strict=True) if not math.isnan(value)]
            if known:
                steps, heights = zip(*known, strict=True)
                line(figure, at, steps, heights, f"{label}: enumerated", shade, first=False, dash="solid")
                figure.data[-1].line.color = translucent(shade, 0.6)
            points = Series(label, shade, aside(x, rank, len(surrogate.methods)), simulated)
            if any(value.known for value in simulated):
                draw(figure, at, points, first=label not in named, lines=False)
                named.add(label)
        responses_axis(figure, at, counts, titled=names_axis(index, columns, len(cells)))
        figure.update_yaxes(tickformat=".0%", nticks=6, rangemode="tozero", row=at[0], col=at[1])
    return finish(figure, TITLE, _description(surrogate), head=150 if narrow else 104)


def _description(surrogate: Surrogate) -> str:
    text = (
        "Prompts have known answer probabilities, and a student answers as often as it was told. Points are simulated "
        "students with intervals, lines are enumerated over all draws; all is divided by the teacher’s variance V."
    )
    told = []
    space = surrogate.spaces[0]
    for method in surrogate.methods:
        x, exact, simulated = surrogate.shares(method, "inter", space)
        if x:
            value = simulated[-1].estimate if math.isnan(exact[-1]) else exact[-1]
            told.append(f"{percent(value)} ({METHOD_NAMES.get(method, method)}, k = {x[-1]:g})")
    return f"{text} Inter-student variance, {SPACE_NAMES.get(space, space)}: {listing(told)}." if told else text
