"""The shared law: where SGD stays with mixed labels, over the line on which every teacher's minimum lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.convergence.arms import shades_of
from kd_uncertainty.report.convergence.law import Mixture, read_mixtures
from kd_uncertainty.report.figures.series import Place, Series, draw, line
from kd_uncertainty.report.figures.style import INK, MUTED, bars_of, finish, nothing_to_show, panels, safe
from kd_uncertainty.report.wording import listing, number, plural, with_bounds

TITLE = "The two papers’ shared law: mixed labels and the inverse-variance rule"
CURVE = np.linspace(0.0, 1.0, 101)
ROW = 30
"""Pixels of a teacher's row below the curves."""
MOST = 2.0
"""Curves are cut at this multiple of one-hot's plateau; a teacher that is worse leaves the picture."""


def mixture_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Plateau against λ over one-hot's prediction, law and measurement, and below each teacher's best λ three ways.

    The law over one-hot's plateau is (1-λ)² + λ² σₜ/σ₁. Every such parabola starts at 1, and has its minimum, 1 - λ*,
    on one and the same line.

    Args:
        table: The table ``mixture``.
        narrow: For narrow screens.
    """
    mixtures = [one for one in read_mixtures(table) if one.one_hot_plateau > 0.0]
    if not mixtures:
        return nothing_to_show(TITLE, "Mixed labels were not run.")
    shades = shades_of([one.key for one in mixtures])
    titles = ["excess risk at which SGD stays,<br>over that of one-hot labels", "the best weight λ, by teacher"]
    heights = [300.0 if narrow else 400.0, float(ROW * len(mixtures) + 16)]
    figure = panels(titles, columns=1, heights=heights, gap=58)
    line(figure, (1, 1), [0.0, 1.0], [1.0, 0.0], "where all minima lie: 1 − λ*", MUTED, first=True, dash="dot")
    for one in mixtures:
        _curve(figure, one, shades[one.label])
    _legend(figure)
    for rank, one in enumerate(mixtures):
        _best(figure, rank, one, shades[one.label], first=rank == 0)
    top = _axes(figure, mixtures)
    above = sum(value.estimate > top * one.one_hot_plateau for one in mixtures for value in one.plateau)
    notes = [f"{plural(above, 'point')} above the picture: see the table."] if above else []
    return finish(figure, TITLE, _description(mixtures), head=150 if narrow else 110, notes=notes)


def _curve(figure: go.Figure, one: Mixture, shade: str) -> None:
    whole = one.one_hot_plateau
    law = np.array([one.predicted_plateau_at(at) for at in CURVE]) / whole
    line(figure, (1, 1), CURVE.tolist(), law.tolist(), f"{one.label}: law", shade, first=False, dash="solid")
    values = [Estimate(*(end / whole for end in value)) for value in one.plateau]
    draw(figure, (1, 1), Series(one.label, shade, one.mixing, values), first=True, lines=False)
    figure.add_scatter(
        x=[one.predicted, one.predicted],
        y=[0.0, 1.0 - one.predicted],
        mode="lines",
        line={"color": shade, "width": 1, "dash": "dot"},
        name=f"{one.label}: λ*, line",
        showlegend=False,
        hoverinfo="skip",
        row=1,
        col=1,
    )
    _diamond(figure, (1, 1), (one.predicted, 1.0 - one.predicted), one, shade)


def _diamond(figure: go.Figure, at: Place, point: tuple[float, float], one: Mixture, shade: str) -> None:
    figure.add_scatter(
        x=[point[0]],
        y=[point[1]],
        mode="markers",
        marker={"symbol": "diamond", "size": 13, "color": shade, "line": {"color": "#ffffff", "width": 1.2}},
        name=f"{one.label}: λ*",
        showlegend=False,
        hovertemplate=f"{safe(one.label)}<br>λ* = {one.predicted:.3f}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _legend(figure: go.Figure) -> None:
    """What a diamond is, once for all colours: a trace without a point."""
    figure.add_scatter(
        x=[None],
        y=[None],
        mode="markers",
        marker={"symbol": "diamond", "size": 10, "color": INK},
        meta="ink",
        name="λ* = σ₁/(σ₁ + σₜ)",
        row=2,
        col=1,
    )


def _best(figure: go.Figure, rank: int, one: Mixture, shade: str, *, first: bool) -> None:
    """One row: the measured minimum, the weight of the inverse-variance rule from measured noises, and λ*."""
    _diamond(figure, (2, 1), (one.predicted, float(rank)), one, shade)
    marks = (
        ("least measured plateau", one.minimum, "circle", -0.24),
        ("inverse-variance weight of the measured noises", one.inverse_variance, "square", 0.24),
    )
    for name, value, symbol, shift in marks:
        if value.known:
            figure.add_scatter(
                x=[value.estimate],
                y=[rank + shift],
                error_x=bars_of([value], color=INK),
                mode="markers",
                marker={"symbol": symbol, "size": 7, "color": INK},
                meta="ink",
                name=name,
                legendgroup=name,
                showlegend=first,
                hovertemplate=f"{safe(one.label)}: {name}<br>λ = {with_bounds(value, 3)}<extra></extra>",
                row=2,
                col=1,
            )


def _axes(figure: go.Figure, mixtures: Sequence[Mixture]) -> float:
    """Set the axes; returns where the upper one ends."""
    laws = [one.predicted_plateau_at(1.0) / one.one_hot_plateau for one in mixtures]
    points = [value.estimate / one.one_hot_plateau for one in mixtures for value in one.plateau if value.known]
    top = 1.08 * min(max([1.0, *laws, *points]), MOST)
    figure.update_yaxes(range=[0.0, top], nticks=6, row=1, col=1)
    figure.update_yaxes(
        range=[len(mixtures) - 0.4, -0.6],
        tickvals=list(range(len(mixtures))),
        ticktext=[safe(one.label) for one in mixtures],
        showgrid=False,
        zeroline=False,
        row=2,
        col=1,
    )
    ticks = [0.0, 0.25, 0.5, 0.75, 1.0]
    texts = ["0<br>one-hot", "0.25", "0.5", "0.75", "1<br>teacher"]
    for row in (1, 2):
        figure.update_xaxes(range=[-0.03, 1.03], tickvals=ticks, row=row, col=1)
    figure.update_xaxes(ticktext=texts, title="λ, the teacher’s weight in the labels", row=2, col=1)
    return top


def _description(mixtures: Sequence[Mixture]) -> str:
    stars = listing(f"{number(one.predicted)} for {one.label}" for one in mixtures)
    known = [one for one in mixtures if one.minimum.measured]
    inside = sum(one.minimum.lower <= one.predicted <= one.minimum.upper for one in known)
    return (
        "Curves are the law (1 − λ)² + λ² σₜ/σ₁, points what SGD left with its interval. Each curve is least at λ* = "
        f"σ₁/(σ₁ + σₜ) (diamond: {stars}), the weight of the inverse-variance rule, and all minima lie on the line "
        f"1 − λ*. Below, the interval of the measured minimum contains λ* for {inside} of {len(known)} teachers."
    )
