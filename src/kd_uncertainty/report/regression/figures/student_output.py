"""Section 6: the predictive entropy of teacher and students, by what the students were trained on."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import draw, series_of
from kd_uncertainty.report.figures.style import INK, MUTED, finish, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.figures.colours import STUDENT_TARGET_COLOURS
from kd_uncertainty.report.regression.wording import MODEL_NAMES, STUDENT_TARGETS
from kd_uncertainty.report.wording import ordered

TITLE = "Student output: predictive entropy of teacher and students"
SUBSETS = ("all", "correct", "incorrect")
SYMBOLS = {"network": "circle", "logistic": "diamond"}


def student_output_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Mean predictive entropy on all, correct and incorrect test points; one panel a source, colours name targets.

    Args:
        table: The table ``student_output``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("source", "role", "model", "target", "subset", "entropy")):
        return nothing_to_show(TITLE, "Section 6 was not run.")
    sources = list(dict.fromkeys(table["source"].astype(str)))
    groups = _groups(table)
    columns = 1 if narrow else min(3, len(sources))
    figure = panels(sources, columns=columns, heights=210 if narrow else 260, gap=70, side=0.07)
    subsets = ordered(table["subset"].astype(str).tolist(), SUBSETS)
    named: set[str] = set()
    for index, source in enumerate(sources):
        at = place(index, columns)
        for rank, (name, shade, keys) in enumerate(groups):
            own = choose(table, source=source, **keys)
            aside = 0.66 * ((rank + 0.5) / len(groups) - 0.5)
            own = own.assign(_place=[subsets.index(subset) + aside for subset in own["subset"]])
            series = series_of(own, "_place", "entropy", name, shade, symbol=SYMBOLS.get(str(keys["model"]), "circle"))
            draw(figure, at, series, first=name not in named, lines=False)
            named |= {name} if len(own) else set()
        figure.update_xaxes(
            tickvals=list(range(len(subsets))), ticktext=subsets, range=[-0.55, len(subsets) - 0.45], showgrid=False,
            zeroline=False, row=at[0], col=at[1],
        )  # fmt: skip
        figure.update_yaxes(
            rangemode="tozero", nticks=6, title="entropy, nats" if at[1] == 1 else None, row=at[0], col=at[1]
        )
    return finish(
        figure,
        TITLE,
        "Mean predictive entropy in nats, with intervals over students, on all test points, on those that the model "
        "classifies correctly and on those it does not; one panel for each source. Dark: the teacher. Circles: network "
        "students, diamonds: logistic regression.",
        head=110 if narrow else 90,
    )


def _groups(table: pd.DataFrame) -> list[tuple[str, str, dict[str, object]]]:
    """Name, colour and keys of each group of points: the teacher, then students by target and model."""
    found: list[tuple[str, str, dict[str, object]]] = []
    teachers = choose(table, role="teacher")
    found += [("teacher", INK, {"role": "teacher", "model": model}) for model in teachers["model"].unique()]
    students = choose(table, role="student")
    targets = ordered(students["target"].astype(str).tolist(), tuple(STUDENT_TARGETS))
    models = ordered(students["model"].astype(str).tolist(), tuple(SYMBOLS))
    for target in targets:
        for model in models:
            name = f"{STUDENT_TARGETS.get(target, target)}, {MODEL_NAMES.get(model, model)}"
            shade = STUDENT_TARGET_COLOURS.get(target, MUTED)
            found.append((name, shade, {"role": "student", "model": model, "target": target}))
    return found
