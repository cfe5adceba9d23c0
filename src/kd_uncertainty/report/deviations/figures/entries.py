"""How many entries of the one-hot gradient distillation turns round, by how long its teacher has trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.deviations.claims.denoising import ENTRIES, SIGNALS
from kd_uncertainty.report.figures.series import Series, draw
from kd_uncertainty.report.figures.style import finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import ordered, percent, plural

TITLE = "What distillation turns round, by its teacher’s training time"
SIMILARITIES = ("#56B4E9", "#0072B2", "#5E548E", "#2B2D42")
RATES = {"flip": ("destructive entries", "solid", "circle"), "false_flip": ("harmless entries", "dot", "circle-open")}


def entries_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Flip rates of destructive and of harmless entries; a row of panels a student's time, a column a signal.

    Args:
        table: The table ``denoising_entries``.
        narrow: One panel below the other, for narrow screens.
    """
    trained = pd.DataFrame() if missing(table, ENTRIES) else choose(table, teacher="trained")
    if trained.empty:
        return nothing_to_show(TITLE, "No entries of gradients were counted.")
    signals = ordered(trained["signal"].astype(str), tuple(SIGNALS))
    steps, similarities = sorted(set(trained["student_step"])), sorted(set(trained["similarity"]))
    cells = [(step, signal) for step in steps for signal in signals]
    columns = 1 if narrow else len(signals)
    titles = [f"signal {signal}, student after {plural(int(step), 'step')}" for step, signal in cells]
    figure = panels(titles, columns=columns, heights=220 if narrow else 240, gap=80, side=0.08)
    for index, (step, signal) in enumerate(cells):
        at = place(index, columns)
        own = choose(trained, student_step=step, signal=signal)
        for number, similarity in enumerate(similarities):
            rows = choose(own, similarity=similarity).sort_values("teacher_step").to_dict("records")
            x = [float(row["teacher_step"]) for row in rows]
            for column, (what, dash, symbol) in RATES.items():
                values = [estimate_of(row, column) for row in rows]
                name = f"{what}, similarity {similarity:g}"
                shade = SIMILARITIES[min(number, len(SIMILARITIES) - 1)]
                draw(figure, at, Series(name, shade, x, values, symbol, dash), first=index == 0)
        figure.update_xaxes(
            type="log",
            tickformat="~s",
            dtick=1,
            title="steps of the teacher" if names_axis(index, columns, len(cells)) else None,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(
            title="turned round" if at[1] == 1 else None,
            tickformat=".0%",
            range=[-0.03, 1.03],
            nticks=6,
            row=at[0],
            col=at[1],
        )
    return finish(figure, TITLE, _description(trained.to_dict("records")), head=190 if narrow else 120)


def _description(rows: Sequence[dict[Any, Any]]) -> str:
    first = min(rows, key=lambda row: (row["student_step"], row["teacher_step"]))
    same = [row for row in rows if all(row[key] == first[key] for key in ("signal", "similarity", "student_step"))]
    last = max(same, key=lambda row: row["teacher_step"])
    times = [plural(int(row["teacher_step"]), "step") for row in (first, last)]
    return (
        "A destructive entry pushes down a class that deserves more than the student gives it; distillation turns it "
        "round where the teacher gives it more. The rate falls from "
        f"{percent(estimate_of(first, 'flip').estimate, 0)} (teacher after {times[0]}) to "
        f"{percent(estimate_of(last, 'flip').estimate, 0)} ({times[1]}), signal "
        f"{first['signal']}, similarity {first['similarity']:g}. Dotted: entries turned round that did no harm."
    )
