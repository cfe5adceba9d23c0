"""How often students are behind in the lower direction of a pair, by model, beside controls and coarse records."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.deviations.claims.eigenspace import COLUMNS, MODELS
from kd_uncertainty.report.deviations.figures.dots import ROW, Dots, draw_dots
from kd_uncertainty.report.figures.style import MUTED, finish, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import listing, ordered, percent

TITLE = "How often the student is behind in the lower direction of a pair"
FINE, EXPECTED = "student, every step recorded", "expected at least"
SHADES = {FINE: "#0072B2", "control": "#D55E00", "coarse": "#94A84C", EXPECTED: MUTED}

Key = tuple[str, str, str, int]
"""Model, descent, start and the teacher's stop."""


def pairs_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The share of direction pairs with the student behind, by model and teacher; a panel a task.

    Args:
        table: The table ``eigenspace_pairs``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "No paths were compared.")
    table = table if "task" in table else table.assign(task="gaussian")
    tasks = [str(task) for task in dict.fromkeys(table["task"])]
    keys = _keys(table)
    columns = 1 if narrow else len(tasks)
    figure = panels(
        [f"{task} task" for task in tasks], columns=columns, heights=ROW * len(keys) + 14, gap=80, side=0.04
    )
    every = int(table["record_every"].max())
    named: set[str] = set()
    for index, task in enumerate(tasks):
        at = place(index, columns)
        draw_dots(
            figure,
            at,
            [_label(key) for key in keys],
            _dots(choose(table, task=task), keys, every),
            named=named,
            reference=0.5,
        )
        figure.update_xaxes(
            range=[-0.04, 1.04], tickformat=".0%", nticks=6, title="share of pairs", row=at[0], col=at[1]
        )
        figure.update_yaxes(showticklabels=at[1] == 1, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(table), head=130 if narrow else 90)


def _keys(table: pd.DataFrame) -> list[Key]:
    rows = table[["model", "descent", "start", "teacher_stop"]].drop_duplicates().to_dict("records")
    keys = [(str(r["model"]), str(r["descent"]), str(r["start"]), int(r["teacher_stop"])) for r in rows]
    models = ordered([key[0] for key in keys], tuple(MODELS))
    return sorted(keys, key=lambda key: (models.index(key[0]), key[1] != "plain", key[2], key[3]))


def _label(key: Key) -> str:
    model, descent, start, stop = key
    text = model.replace("_", " ")
    text += "" if descent == "plain" else f", {descent}"
    text += "" if start == "zero" else f", {start} start"
    return f"{text}, T = {stop:,}"


def _dots(own: pd.DataFrame, keys: list[Key], every: int) -> list[Dots]:
    fine: dict[Key, Estimate] = _shares(own, role="student", coarse="neither")
    control = _shares(own, role="control", coarse="neither")
    coarse = _shares(own, role="student", coarse="student", record_every=every)
    limits = [
        Estimate(MODELS[key[0]][0], float("nan"), float("nan"))
        if key[1] == "plain" and key[0] in MODELS
        else NO_ESTIMATE
        for key in keys
    ]
    return [
        Dots(FINE, SHADES[FINE], [fine.get(key, NO_ESTIMATE) for key in keys]),
        Dots("control", SHADES["control"], [control.get(key, NO_ESTIMATE) for key in keys]),
        Dots(
            f"student recorded every {every:,} steps only",
            SHADES["coarse"],
            [coarse.get(key, NO_ESTIMATE) for key in keys],
            "x-thin",
        ),
        Dots(EXPECTED, SHADES[EXPECTED], limits, "diamond"),
    ]


def _shares(own: pd.DataFrame, **chosen: Any) -> dict[Key, Estimate]:
    rows = choose(own, **chosen).to_dict("records")
    return {
        (str(r["model"]), str(r["descent"]), str(r["start"]), int(r["teacher_stop"])): estimate_of(r, "share")
        for r in rows
    }


def _description(table: pd.DataFrame) -> str:
    texts = []
    for model in MODELS:
        rows = choose(table, model=model, descent="plain", role="student", coarse="neither").to_dict("records")
        shares = [estimate_of(row, "share").estimate for row in rows if estimate_of(row, "share").known]
        if shares:
            texts.append(f"{percent(min(shares), 0)} with {model.replace('_', ' ')}")
    least = f" The least share is {listing(texts)}." if texts else ""
    return (
        "Student and teacher are compared where they have made equal progress in the top direction of a pair; T is the "
        f"step at which the teacher stopped. One half is what chance would give.{least} A student that is recorded "
        "coarsely seems ahead where it is behind."
    )
