"""Enumerated processes: bounds against the truth, how much of them is used, how wide they are, both kinds of gap."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.bounds.claims.exact import column
from kd_uncertainty.report.bounds.claims.processes import COLUMNS, certificates, used
from kd_uncertainty.report.bounds.proxies import phrase, proxies_in, proxy_name, shade_of
from kd_uncertainty.report.figures.series import POWERS, Place, line
from kd_uncertainty.report.figures.style import MUTED, finish, nothing_to_show, panels, safe, translucent
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import number, plural

TITLE = "Enumerated processes: the bounds against the truth"
UPPER, LOWER, CENTRAL = "#D55E00", "#0072B2", "#009E73"
DIGITS = 5
"""Significant digits of a point: more cannot be seen, and there are many."""
CUT = 0.02
"""The share of bounds on either side that may leave the picture."""


def processes_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Four panels: bounds against the truth, the share used, the width by constant, pseudo against true labels.

    Args:
        table: The table ``processes``.
        narrow: One panel below the other, for narrow screens.
    """
    names = [] if missing(table, COLUMNS) else certificates(table)
    if not names:
        return nothing_to_show(TITLE, "No processes were enumerated.")
    titles = [
        "bounds against the student’s gap",
        "share of the bound that is used",
        "width of the interval / distance of the gaps",
        "the gap by kind of labels",
    ]
    figure = panels(titles, columns=1 if narrow else 2, heights=240, gap=84, side=0.13)
    spots: list[Place] = [(1, 1), (2, 1), (3, 1), (4, 1)] if narrow else [(1, 1), (1, 2), (2, 1), (2, 2)]
    cut = _against_truth(figure, spots[0], table, names[0])
    _share(figure, spots[1], table, names[0])
    _widths(figure, spots[2], table)
    _labels(figure, spots[3], table)
    notes = [f"{plural(cut, 'bound')} outside the first panel."] if cut else []
    return finish(figure, TITLE, _description(table, names[0]), head=96 if narrow else 76, notes=notes)


def _cloud(
    figure: go.Figure, at: Place, points: tuple[Sequence[float], Sequence[float]], name: str, shade: str, *, first: bool
) -> None:
    figure.add_scatter(
        x=_short(points[0]),
        y=_short(points[1]),
        mode="markers",
        marker={"size": 4, "color": translucent(shade, 0.45)},
        name=safe(name),
        legendgroup=name,
        showlegend=first,
        hovertemplate=f"{safe(name)}<br>%{{x:.3g}}: %{{y:.3g}}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _short(values: Sequence[float]) -> list[float | None]:
    return [float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None for value in values]


def _against_truth(figure: go.Figure, at: Place, table: pd.DataFrame, proxy: str) -> int:
    """Bounds over the gap that they bound; returns how many leave the picture."""
    truth = column(table, "gen_student")
    clouds = [
        (f"upper bound, σ from {phrase(proxy)}", column(table, f"upper_{proxy}"), UPPER),
        ("lower bound, the same σ", column(table, f"lower_{proxy}"), LOWER),
    ]
    if "lower_central" in table:
        clouds.append(("lower bound, central condition", column(table, "lower_central"), CENTRAL))
    heights = np.array([value for _, values, _ in clouds for value in values if math.isfinite(value)])
    ends = [*np.quantile(heights, [CUT, 1.0 - CUT]), *truth]
    low, high = min(ends), max(ends)
    room = 0.05 * max(high - low, 1e-9)
    for name, values, shade in clouds:
        _cloud(figure, at, (truth, values), name, shade, first=True)
    across = [min(truth), max(truth)]
    line(figure, at, across, across, "the truth", MUTED, first=True, dash="solid")
    figure.update_yaxes(range=[low - room, high + room], nticks=6, row=at[0], col=at[1])
    figure.update_xaxes(title="student’s gap, pseudo-labels", nticks=6, row=at[0], col=at[1])
    return int(((heights < low - room) | (heights > high + room)).sum())


def _share(figure: go.Figure, at: Place, table: pd.DataFrame, proxy: str) -> None:
    """How much of each bound is used, against the divergence: above 1 it would be violated."""
    divergence = column(table, "divergence")
    sides = [("upper_", proxy, UPPER), ("lower_", "central", CENTRAL)]
    most = 1.0
    for prefix, name, shade in sides:
        found = used(table, prefix, name)
        if found.count == len(divergence):
            pairs = [pair for pair in zip(divergence, found.shares, strict=True) if pair[1] > 0.0]
            known = ([x for x, _ in pairs], [y for _, y in pairs])
            _cloud(figure, at, known, f"used of the {prefix[:-1]} bound", shade, first=False)
            most = max(most, *known[1]) if known[1] else most
    ends = [min(divergence), max(divergence)]
    line(figure, at, ends, [1.0, 1.0], "violated above", MUTED, first=False, dash="dash")
    figure.update_yaxes(range=[0.0, 1.08 * min(most, 3.0)], nticks=6, row=at[0], col=at[1])
    figure.update_xaxes(title="divergence K, nats", row=at[0], col=at[1], **POWERS)


def _widths(figure: go.Figure, at: Place, table: pd.DataFrame) -> None:
    """By constant: the median of the width over the distance of the gaps, and its range from 5 to 95%."""
    names = proxies_in(map(str, table.columns))
    for rank, name in enumerate(names):
        values = np.array([value for value in column(table, f"tightness_{name}") if math.isfinite(value)])
        if not len(values):
            continue
        low, middle, high = np.quantile(values, [0.05, 0.5, 0.95])
        figure.add_scatter(
            x=[middle],
            y=[rank],
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [high - middle],
                "arrayminus": [middle - low],
                "thickness": 2,
                "width": 0,
                "color": translucent(shade_of(name), 0.6),
            },
            mode="markers",
            marker={"size": 9, "color": shade_of(name)},
            name=safe(proxy_name(name)),
            showlegend=False,
            hovertemplate=f"{safe(proxy_name(name))}: {number(middle, 1)} ({number(low, 1)} to {number(high, 1)})"
            "<extra></extra>",
            row=at[0],
            col=at[1],
        )
    figure.update_yaxes(
        range=[len(names) - 0.5, -0.5],
        tickvals=list(range(len(names))),
        ticktext=[safe(proxy_name(name)).replace(" ", "<br>", 1) for name in names],
        showgrid=False,
        zeroline=False,
        row=at[0],
        col=at[1],
    )
    figure.update_xaxes(title="times, median and 5 to 95%", row=at[0], col=at[1], **POWERS)


def _labels(figure: go.Figure, at: Place, table: pd.DataFrame) -> None:
    pseudo, true = column(table, "gen_student"), column(table, "gen_student_true")
    _cloud(figure, at, (pseudo, true), "student’s gap by kind of labels", "#4C566A", first=False)
    line(figure, at, [min(pseudo), max(pseudo)], [min(pseudo), max(pseudo)], "equal", MUTED, first=False, dash="dash")
    figure.update_xaxes(title="pseudo-labels (of the theory)", nticks=6, row=at[0], col=at[1])
    figure.update_yaxes(title="true labels", nticks=6, row=at[0], col=at[1])


def _description(table: pd.DataFrame, proxy: str) -> str:
    upper, lower = used(table, "upper_", proxy), used(table, "lower_", "central")
    middle = median([value for value in column(table, f"tightness_{proxy}") if math.isfinite(value)] or [math.nan])
    text = (
        f"{len(table):,} distillations, each known without error: no points of a bound may lie on the wrong side of "
        f"the line. The upper bound is violated in {upper.violated:,}, of which at most {number(upper.most, 2)} is used"
    )
    if lower.count:
        text += f", the central lower bound in {lower.violated:,} ({number(lower.most, 2)})"
    return (
        f"{text}. With the tightest constant the interval is {number(middle, 1)} times as wide as the gaps are apart "
        "(median)."
    )
