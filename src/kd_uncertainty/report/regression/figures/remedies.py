"""Section 7: averaging and weighting, their variance against k and their ratio to the average."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.figures.series import Place, Series, draw, least, line, log_axis, series_of
from kd_uncertainty.report.figures.style import INK, MUTED, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.arms import MODELS
from kd_uncertainty.report.regression.figures.colours import METHOD_COLOURS
from kd_uncertainty.report.regression.wording import METHOD_NAMES, METHODS, MODEL_NAMES
from kd_uncertainty.report.wording import ordered

TITLE = "Remedies: averaging k responses, and weighting them with a student's estimate"
MOST_NOISES = 2
"""Noise levels that the figure shows, the smallest and the largest; the table has all."""
RATIO_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10)

Cell = tuple[str, float, str]


def remedies_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Inter-student variance against k by method, and its ratio to the average's; a column a model.

    Args:
        table: The table ``remedies``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, ("model", "noise", "num_responses", "method", "inter_variance", "variance_ratio")):
        return nothing_to_show(TITLE, "Section 7 was not run.")
    models = ordered(table["model"].astype(str).tolist(), MODELS)
    noises = sorted(table["noise"].unique())
    shown = noises if len(noises) <= MOST_NOISES else [noises[0], noises[-1]]
    columns = 1 if narrow else len(models)
    cells: list[Cell] = [(m, s, kind) for kind in ("variance", "ratio") for s in shown for m in models]
    titles = [f"{MODEL_NAMES.get(m, m)} students, noise {s:g} Var(y)<br>{_kind(kind)}" for m, s, kind in cells]
    figure = panels(titles, columns=columns, heights=200 if narrow else 220, gap=84, side=0.1)
    methods = ordered(table["method"].astype(str).tolist(), METHODS)
    ticks = _ticks(table["num_responses"].tolist())
    for index, (model, noise, kind) in enumerate(cells):
        at, own = place(index, columns), choose(table, model=model, noise=noise)
        if kind == "variance":
            _variance(figure, at, own, methods, first=index == 0)
        else:
            _ratio(figure, at, own, methods, first=index == len(shown) * len(models))
        figure.update_xaxes(
            type="log",
            tickvals=ticks,
            ticktext=[str(k) for k in ticks],
            tickangle=0,
            title="responses per example, k" if names_axis(index, columns, len(cells)) else None,
            row=at[0],
            col=at[1],
        )
    notes = [] if len(shown) == len(noises) else [f"{len(noises) - len(shown)} more noise levels are in the table."]
    return finish(
        figure,
        TITLE,
        "Log-log curves of the variance between students against the number of responses k, in squared units of the "
        "target; the solid line is the closed form of linear students on averages, σ² x'(X'X)⁻¹x / k. Below: the "
        "ratio of each method's variance to the average's, at the same k (filled) and at the same number of responses "
        "spent, pilots included (open, dotted); the line at 1 is no gain.",
        head=110 if narrow else 90,
        notes=notes,
    )


def _kind(kind: str) -> str:
    return "inter-student variance" if kind == "variance" else "ratio to the average"


def _variance(figure: go.Figure, at: Place, own: pd.DataFrame, methods: Sequence[str], *, first: bool) -> None:
    values = [estimate_of(row, "inter_variance") for row in own.to_dict("records")]
    average = choose(own, method="average").sort_values("num_responses")
    if "closed_form_variance" in own:
        k, law = average["num_responses"].tolist(), average["closed_form_variance"].tolist()
        line(figure, at, k, law, "closed form, a/k", INK, first=first, dash="solid")
    for method in methods:
        series = _series(choose(own, method=method), "inter_variance", method)
        draw(figure, at, series, first=first, floor=least(values))
    log_axis(figure, at, values, None)


def _ratio(figure: go.Figure, at: Place, own: pd.DataFrame, methods: Sequence[str], *, first: bool) -> None:
    k = sorted(own["num_responses"].unique())
    line(figure, at, [k[0], k[-1]], [1.0, 1.0], "no gain", MUTED, first=first, dash="solid")
    values = []
    for method in methods:
        if method == "average":
            continue
        rows = choose(own, method=method)
        for column, symbol, dash in (
            ("variance_ratio", "circle", "solid"),
            ("equal_budget_ratio", "circle-open", "dot"),
        ):
            if column in rows:
                series = _series(rows, column, method, symbol, dash)
                draw(figure, at, series, first=False, floor=0.0)
                values += list(series.values)
    log_axis(figure, at, values, None)
    figure.update_yaxes(tickvals=RATIO_TICKS, row=at[0], col=at[1])


def _series(rows: pd.DataFrame, column: str, method: str, symbol: str = "circle", dash: str = "solid") -> Series:
    name, shade = METHOD_NAMES.get(method, method), METHOD_COLOURS.get(method, MUTED)
    return series_of(rows, "num_responses", column, name, shade, symbol=symbol, dash=dash)


def _ticks(counts: Sequence[int], ratio: float = 1.55) -> list[int]:
    """The measured k that are far enough apart to be written on a logarithmic axis."""
    found: list[int] = []
    for k in sorted(set(counts)):
        if not found or k >= ratio * found[-1]:
            found.append(int(k))
    return found
