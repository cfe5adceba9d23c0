"""What distillation gains in alignment with the true weights: it depends on where the signal lives."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.deviations.claims.denoising import ALIGNMENT, SIGNALS
from kd_uncertainty.report.figures.series import Series, draw, line
from kd_uncertainty.report.figures.style import MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import number, ordered, plural

TITLE = "Alignment with the true weights, over that of one-hot students"
TEACHERS = ("#009E73", "#56B4E9", "#0072B2", "#5E548E", "#2B2D42")
BAYES = "#8A6D3B"
QUANTITIES = ("weights", "gradient")


def alignment_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The gain in cosine against the student's steps, by teacher; a row of panels a quantity, a column a signal.

    The highest similarity of classes is drawn.

    Args:
        table: The table ``denoising_alignment``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ALIGNMENT):
        return nothing_to_show(TITLE, "No weights were compared with the true ones.")
    similarity = table["similarity"].max()
    own = choose(table, similarity=similarity)
    own = own[own["teacher"] != "one_hot"]
    cells = [
        (quantity, signal)
        for quantity in QUANTITIES
        for signal in ordered(own["signal"].astype(str), tuple(SIGNALS))
        if len(choose(own, quantity=quantity, signal=signal))
    ]
    if not cells:
        return nothing_to_show(TITLE, "No weights were compared with the true ones.")
    columns = 1 if narrow else 2
    figure = panels(
        [f"{quantity}: signal {signal}" for quantity, signal in cells],
        columns=columns,
        heights=230 if narrow else 250,
        gap=80,
        side=0.09,
    )
    named: set[str] = set()
    for index, (quantity, signal) in enumerate(cells):
        at, frame = place(index, columns), choose(own, quantity=quantity, signal=signal)
        steps = [float(step) for step in sorted(set(frame["student_step"]))]
        # A logarithmic axis has no place for step 0; it stands half a step before the first one.
        ends = [_x(step) for step in (steps[0], steps[-1])]
        line(figure, at, ends, [0.0, 0.0], "one-hot students", MUTED, first=index == 0, dash="dot")
        for name, shade, rows in _series(frame):
            x, values = [_x(row["student_step"]) for row in rows], [estimate_of(row, "gain") for row in rows]
            draw(figure, at, Series(name, shade, x, values), first=name not in named)
            named.add(name)
        figure.update_xaxes(
            type="log",
            tickvals=[_x(step) for step in steps],
            ticktext=[f"{step:g}" for step in steps],
            tickangle=0,
            title="steps of the student" if names_axis(index, columns, len(cells)) else None,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(title="gain in cosine" if at[1] == 1 else None, nticks=6, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(own, similarity), head=150 if narrow else 100)


def _x(step: float) -> float:
    return max(float(step), 0.5)


def _series(frame: pd.DataFrame) -> list[tuple[str, str, list[dict[Any, Any]]]]:
    """Name, colour and rows of each teacher, the earliest first and exact probabilities last."""
    found = []
    trained = choose(frame, teacher="trained")
    for index, step in enumerate(sorted(set(trained["teacher_step"]))):
        rows = choose(trained, teacher_step=step).sort_values("student_step").to_dict("records")
        name = f"teacher after {plural(int(step), 'step')}"
        found.append((name, TEACHERS[min(index, len(TEACHERS) - 1)], rows))
    exact = choose(frame, teacher="bayes").sort_values("student_step").to_dict("records")
    return [*found, *([("exact probabilities", BAYES, exact)] if exact else [])]


def _description(own: pd.DataFrame, similarity: float) -> str:
    text = (
        "Above 0 a student’s weights (or its gradient) point closer to the true ones than a one-hot student’s; the "
        f"similarity of classes is {similarity:g}."
    )
    for signal in ordered(own["signal"].astype(str), tuple(SIGNALS)):
        rows = choose(own, signal=signal, quantity="weights", teacher="trained")
        rows = rows[rows["teacher_step"] == rows["teacher_step"].min()].sort_values("student_step").to_dict("records")
        if rows:
            first, last = (number(estimate_of(row, "gain").estimate, 3) for row in (rows[0], rows[-1]))
            text += f" Signal {signal}, earliest teacher: {first} after the student’s first steps, {last} at the end."
    return text
