"""The advice: the variance that a budget buys, and the number of responses that gets there."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Place, Series, draw, least, log_axis
from kd_uncertainty.report.figures.style import SPARE_COLOURS, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.regression.advice import WAY_NAMES, WAYS, Purchase, read_advice

TITLE = "What a budget buys: responses, students and the variance that remains"
QUANTITIES = (("variance", "variance of what is deployed"), ("num_responses", "responses per example, k"))
MOST_CURVES = 6


def advice_figure(advice: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The variance of the best purchase and its number of responses against the budget; a column a deployment.

    Args:
        advice: The table ``advice``.
        narrow: One panel below the other, for narrow screens.
    """
    needed = ("model", "teacher", "target", "noise", "deployment", "responses", "budget", "num_responses", "variance")
    if missing(advice, needed):
        return nothing_to_show(TITLE, "No advice: the fit needs two or more numbers of responses.")
    purchases = read_advice({"advice": advice})
    curves = list(dict.fromkeys(row.curve for row in sorted(purchases, key=lambda row: row.model != "network")))
    shown = curves[:MOST_CURVES]
    found = {(row.deployment, row.responses) for row in purchases}
    ways = [way for way in WAYS if way in found]
    columns = 1 if narrow else len(ways)
    cells = [(way, *quantity) for quantity in QUANTITIES for way in ways]
    titles = [f"{WAY_NAMES[way]}<br>{name}" for way, _, name in cells]
    figure = panels(titles, columns=columns, heights=190 if narrow else 200, gap=84, side=0.06)
    for index, (way, column, _) in enumerate(cells):
        at = place(index, columns)
        rows = [row for row in purchases if (row.deployment, row.responses) == way and row.curve in shown]
        _curves(figure, at, rows, column, shown, first=index == 0)
        named = names_axis(index, columns, len(cells))
        budgets = sorted({row.budget for row in rows})
        figure.update_xaxes(
            type="log",
            tickvals=budgets,
            ticktext=[f"{budget:g}" for budget in budgets],
            tickangle=0,
            title="budget" if named else None,
            row=at[0],
            col=at[1],
        )
    first = purchases[0]
    notes = [] if len(curves) == len(shown) else [f"{len(curves) - len(shown)} more curves are in the table."]
    return finish(
        figure,
        TITLE,
        "Log-log curves against the budget. Above: the variance that the best purchase leaves, by the fit a/k + b, "
        "with its interval; below: its number of responses per example, with the numbers that replicates of the fit "
        f"choose. One response for every example costs {first.cost_per_response:g} and training one student "
        f"{first.cost_per_student:g}.",
        head=150 if narrow else 110,
        notes=notes,
    )


def _curves(figure: go.Figure, at: Place, rows: list[Purchase], column: str, curves: list[str], *, first: bool) -> None:
    values = [getattr(row, column) for row in rows]
    for rank, curve in enumerate(curves):
        own = sorted((row for row in rows if row.curve == curve), key=lambda row: row.budget)
        if own:
            x, points = [row.budget for row in own], [getattr(row, column) for row in own]
            draw(figure, at, Series(curve, SPARE_COLOURS[rank], x, points), first=first, floor=least(values))
    log_axis(figure, at, values, None)
