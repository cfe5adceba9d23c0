"""The terms of the bound, stacked, against every dial of the linear-Gaussian case."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.bounds.claims.design import divergences, once
from kd_uncertainty.report.bounds.claims.exact import column
from kd_uncertainty.report.bounds.claims.never import usage
from kd_uncertainty.report.bounds.design import SHADES, TERMS, best_of, dial_name, dials_of, sweep_of
from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.figures.series import Place, Series, draw, line
from kd_uncertainty.report.figures.style import INK, finish, nothing_to_show, panels, place, safe
from kd_uncertainty.report.wording import plural, value_text

TITLE = "What the bound is made of, dial by dial"
MOST = 2.5
"""Panels end at this multiple of the bound at the base configuration; the heights of bars that are cut are written."""
BEST = "least bound"
NO_BOUND = "#E4002B"


def sweeps_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """A panel a dial: the terms stacked, the divergence itself, the other forms, and the best setting.

    Args:
        table: The table ``decomposition_sweeps``.
        narrow: One panel below the other, for narrow screens.
    """
    dials = dials_of(table)
    if not dials:
        return nothing_to_show(TITLE, "The linear-Gaussian case was not run.")
    sweeps = [sweep_of(table, dial) for dial in dials]
    columns = 1 if narrow else min(2, len(dials))
    titles = [dial_name(dial) for dial in dials]
    figure = panels(titles, columns=columns, heights=190, gap=66, side=0.07)
    figure.update_layout(barmode="stack", bargap=0.3)
    top = _top(table)
    cut = 0
    for index, sweep in enumerate(sweeps):
        at = place(index, columns)
        _bars(figure, at, sweep, first=index == 0)
        _forms(figure, at, sweep, first=index == 0)
        _best(figure, at, sweep, top, first=index == 0)
        cut += _axes(figure, at, sweep, top)
        figure.update_yaxes(title="nats" if at[1] == 1 else None, row=at[0], col=at[1])
    notes = [f"{plural(cut, 'bar')} cut off at the top: the number there is the whole bound."] if cut else []
    return finish(figure, TITLE, _description(table, dials), head=150 if narrow else 104, notes=notes)


def _top(table: pd.DataFrame) -> float:
    """Where all panels end: the same height in each, so that they can be compared."""
    bounds = [value for value in column(table, "corrected_bound") if not math.isnan(value)]
    base = table[table["is_base"].astype(bool)]["corrected_bound"] if "is_base" in table else pd.Series(dtype=float)
    typical = float(base.iloc[0]) if len(base) else float(pd.Series(bounds).median())
    return 1.12 * min(max(bounds), MOST * typical)


def _bars(figure: go.Figure, at: Place, sweep: pd.DataFrame, *, first: bool) -> None:
    places = list(range(len(sweep)))
    for term, name in TERMS.items():
        figure.add_bar(
            x=places,
            y=column(sweep, term),
            name=name,
            legendgroup=name,
            showlegend=first,
            marker={"color": SHADES[term], "line": {"width": 0}},
            opacity=0.85,
            customdata=column(sweep, "value"),
            hovertemplate=f"{name} at %{{customdata:.4g}}: %{{y:.4g}} nats<extra></extra>",
            row=at[0],
            col=at[1],
        )


def _forms(figure: go.Figure, at: Place, sweep: pd.DataFrame, *, first: bool) -> None:
    """The divergence with its interval, the tight form, and the literal form, over the bars."""
    places = [float(index) for index in range(len(sweep))]
    rows = sweep.to_dict("records")
    name = "as printed: no bound"
    line(figure, at, places, column(sweep, "literal_form"), name, NO_BOUND, first=first, dash="dot")
    forms = (
        ("tight form", "tight_bound", "circle-open"),
        ("divergence K", "divergence_exact", "circle"),
    )
    for name, key, symbol in forms:
        values = [estimate_of(row, key) for row in rows]
        draw(figure, at, Series(name, INK, places, values, symbol), first=first, lines=symbol == "circle")


def _best(figure: go.Figure, at: Place, sweep: pd.DataFrame, top: float, *, first: bool) -> None:
    """A mark above the bar of the setting with the least bound."""
    best = best_of(sweep)
    if best is None:
        return
    index = [float(value) for value in sweep["value"]].index(float(best["value"]))
    figure.add_scatter(
        x=[index],
        y=[min(float(best["corrected_bound"]) + 0.05 * top, 0.97 * top)],
        mode="markers",
        marker={"symbol": "diamond", "size": 11, "color": "#009E73"},
        name=BEST,
        legendgroup=BEST,
        showlegend=first,
        hovertemplate=f"{BEST}: {value_text(float(best['corrected_bound']), 2)} nats<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _axes(figure: go.Figure, at: Place, sweep: pd.DataFrame, top: float) -> int:
    """Set the axes and write the heights of bars that are cut; returns how many are."""
    base = sweep["is_base"].astype(bool).tolist() if "is_base" in sweep else [False] * len(sweep)
    texts = [
        f"<b>{value:.4g}</b>" if here else f"{value:.4g}" for value, here in zip(sweep["value"], base, strict=True)
    ]
    figure.update_xaxes(
        tickvals=list(range(len(sweep))),
        ticktext=texts,
        range=[-0.6, len(sweep) - 0.4],
        showgrid=False,
        tickangle=0,
        row=at[0],
        col=at[1],
    )
    figure.update_yaxes(range=[0.0, top], nticks=5, row=at[0], col=at[1])
    high = [(index, value) for index, value in enumerate(column(sweep, "corrected_bound")) if value > top]
    if high:
        figure.add_scatter(
            x=[index for index, _ in high],
            y=[0.99 * top] * len(high),
            mode="text",
            text=[safe(value_text(value, 0)) for _, value in high],
            textposition="bottom center",
            textfont={"color": "#ffffff", "size": 11},
            name="height of a bar that is cut",
            showlegend=False,
            hoverinfo="skip",
            row=at[0],
            col=at[1],
        )
    return len(high)


def _description(table: pd.DataFrame, dials: Sequence[str]) -> str:
    texts = []
    for dial in dials:
        best = best_of(sweep_of(table, dial))
        if best is not None:
            texts.append(
                f"{dial_name(dial)} {float(best['value']):.4g} ({value_text(float(best['corrected_bound']), 1)} nats)"
            )
    rows = once(table)
    truth = divergences(rows)
    form, literal = usage(truth, column(rows, "corrected_bound")), usage(truth, column(rows, "literal_form"))
    return (
        "Bars are the terms of the corrected bound on the divergence, in nats, one dial turned while the others stay "
        f"at the base (bold). The divergence exceeds {form.violated} of {form.count} bars and, at {literal.violated} "
        f"settings, the form as printed. The bound is least at {'; '.join(texts)}."
    )
