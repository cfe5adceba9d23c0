"""Networks: gaps and the interval that should hold them, and its width by constant, against the number of examples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.bounds.claims.networks import of_least_noise
from kd_uncertainty.report.bounds.networks import GAP_SHADES, GAPS, Cell, all_proxies, narrowest, read_cells
from kd_uncertainty.report.bounds.proxies import phrase, proxy_name, shade_of
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Place, Series, draw, line, log_axis
from kd_uncertainty.report.figures.style import INK, MUTED, finish, nothing_to_show, panels, place, translucent
from kd_uncertainty.report.wording import number, value_text

TITLE = "Networks: the student’s gap and the interval for it"


def networks_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """A row a label noise: gaps inside the narrowest interval, and the width of every interval, against n.

    Args:
        table: The table ``network_bounds``.
        narrow: One panel below the other, for narrow screens.
    """
    cells = read_cells(table)
    proxies = all_proxies(cells)
    if not proxies:
        return nothing_to_show(TITLE, "No networks were trained.")
    best = narrowest(cells)
    noises = sorted({one.label_noise for one in cells})
    titles = [
        title
        for noise in noises
        for title in (f"gaps and interval, label noise {noise:g}", f"width of the interval, label noise {noise:g}")
    ]
    columns = 1 if narrow else 2
    figure = panels(titles, columns=columns, heights=220, gap=80, side=0.11)
    for index, noise in enumerate(noises):
        own = [one for one in cells if one.label_noise == noise]
        for offset, panel in enumerate((_gaps, _widths)):
            at = place(2 * index + offset, columns)
            panel(figure, at, own, proxies if offset else [best], first=index == 0)
            _counts(figure, at, own)
    return finish(figure, TITLE, _description(cells, best), head=150 if narrow else 104)


def _gaps(figure: go.Figure, at: Place, cells: Sequence[Cell], proxies: Sequence[str], *, first: bool) -> None:
    proxy, x = proxies[0], [float(one.num_examples) for one in cells]
    ends = [one.interval(proxy) for one in cells]
    name = f"interval, σ from {phrase(proxy)}"
    figure.add_scatter(
        x=[*x, *reversed(x)],
        y=[*(high for _, high in ends), *(low for low, _ in reversed(ends))],
        mode="lines",
        line={"width": 1, "color": translucent(shade_of(proxy), 0.5)},
        fill="toself",
        fillcolor=translucent(shade_of(proxy), 0.12),
        name=name,
        legendgroup=name,
        showlegend=first,
        hoverinfo="skip",
        row=at[0],
        col=at[1],
    )
    draw(figure, at, Series("teacher", INK, x, [one.figure("gen_teacher") for one in cells], dash="dash"), first=first)
    for gap, label in GAPS.items():
        values = [one.figure(gap) for one in cells]
        draw(figure, at, Series(label, GAP_SHADES[gap], x, values), first=first)
    figure.update_yaxes(nticks=6, row=at[0], col=at[1])


def _widths(figure: go.Figure, at: Place, cells: Sequence[Cell], proxies: Sequence[str], *, first: bool) -> None:
    x = [float(one.num_examples) for one in cells]
    shown: list[Estimate] = []
    for proxy in proxies:
        values = [one.width(proxy) for one in cells]
        draw(figure, at, Series(f"width: {proxy_name(proxy)}", shade_of(proxy), x, values), first=first, floor=0.0)
        shown += values
    gaps = [_distance(one.figure("gen_student_pseudo")) for one in cells]
    draw(figure, at, Series("the student’s gap itself", MUTED, x, gaps, "diamond"), first=first, floor=0.0)
    log_axis(figure, at, [*shown, *gaps], None)
    start = max((value.estimate for value in shown if value.known), default=math.nan)
    half = [start / math.sqrt(count / x[0]) for count in x]
    line(figure, at, x, half, "falling as 1/√n", MUTED, first=first, dash="dot")


def _distance(value: Estimate) -> Estimate:
    """The absolute value; an interval that covers 0 reaches down to it."""
    if not value.known or value.estimate >= 0.0:
        return value
    return Estimate(-value.estimate, -value.upper, -value.lower)


def _counts(figure: go.Figure, at: Place, cells: Sequence[Cell]) -> None:
    counts = [one.num_examples for one in cells]
    figure.update_xaxes(
        type="log",
        tickvals=counts,
        ticktext=[f"{count:,}" for count in counts],
        title="examples n",
        row=at[0],
        col=at[1],
    )


def _description(cells: Sequence[Cell], proxy: str) -> str:
    shares = [one.used(proxy, gap) for one in cells for gap in GAPS]
    shares = [share for share in shares if not math.isnan(share)]
    inside = sum(share <= 1.0 for share in shares)
    own = of_least_noise(cells)
    ends = [value_text(one.figure("divergence").estimate, 0) for one in (own[0], own[-1])]
    change = own[-1].width(proxy).estimate / own[0].width(proxy).estimate
    return (
        "Points are means over training sets with intervals; the band is the teacher’s gap ± σ √(2 K) with "
        f"{phrase(proxy)} as σ, an estimate. {inside} of {len(shares)} gaps lie inside, at most "
        f"{number(max(shares, default=math.nan), 2)} of the half width away. From n = {own[0].num_examples:,} to "
        f"{own[-1].num_examples:,} K, from above, goes from {ends[0]} to {ends[1]} nats and the width changes by × "
        f"{number(change, 2)}; 1/√n would be × {number(math.sqrt(own[0].num_examples / own[-1].num_examples), 2)}."
    )
