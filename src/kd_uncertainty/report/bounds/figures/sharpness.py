"""Enumerated processes: the sharpness-aware bound against the radius of its ball, and what it is made of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Place, Series, draw, line
from kd_uncertainty.report.figures.style import MUTED, finish, nothing_to_show, panels
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import number

TITLE = "Sharpness: the bound against the radius"
COLUMNS = ("radius", "upper", "upper_standard", "sharpness_teacher", "gain")
MIDDLE = 0.1, 0.9
"""Bars reach over so many of the processes."""
BOUND, PRICE, REST = "#D55E00", "#0072B2", "#009E73"


def sharpness_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Two panels: the bound over the standard one, and how its parts move it, against the radius.

    Args:
        table: The table ``sharpness``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "No processes were enumerated.")
    radii = sorted(table["radius"].unique())
    titles = ["sharpness-aware bound / standard bound", "what it adds to the standard bound, nats"]
    figure = panels(titles, columns=1 if narrow else 2, heights=220, gap=80, side=0.13)
    spots: list[Place] = [(1, 1), (2, 1)] if narrow else [(1, 1), (1, 2)]
    ratio = _over(table.assign(value=table["upper"] / table["upper_standard"]), radii)
    line(figure, spots[0], [radii[0], radii[-1]], [1.0, 1.0], "standard bound", MUTED, first=True)
    draw(figure, spots[0], Series("sharpness-aware bound", BOUND, radii, ratio), first=True)
    price = _over(table.assign(value=table["sharpness_teacher"]), radii)
    rest = _over(table.assign(value=-table["gain"] - table["sharpness_teacher"]), radii)
    line(figure, spots[1], [radii[0], radii[-1]], [0.0, 0.0], "standard bound", MUTED, first=False)
    draw(figure, spots[1], Series("the teacher’s sharpness", PRICE, radii, price), first=True)
    draw(figure, spots[1], Series("change of σ", REST, radii, rest), first=True)
    for at in spots:
        figure.update_xaxes(type="log", title="radius ρ", tickvals=radii, ticktext=_ticks(radii), row=at[0], col=at[1])
    return finish(figure, TITLE, _description(table, ratio, radii), head=96)


def _over(table: pd.DataFrame, radii: Sequence[float]) -> list[Estimate]:
    """Median and middle of the processes at each radius."""
    values = [table.loc[table["radius"] == radius, "value"].to_numpy(float) for radius in radii]
    return [Estimate(*(float(end) for end in np.quantile(own, [0.5, *MIDDLE]))) for own in values]


def _ticks(radii: Sequence[float]) -> list[str]:
    return [f"{radius:g}" for radius in radii]


def _description(table: pd.DataFrame, ratio: Sequence[Estimate], radii: Sequence[float]) -> str:
    gains = int((table["gain"] > 0.0).sum())
    count, last = int((table["radius"] == radii[0]).sum()), number(ratio[-1].estimate, 4)
    return (
        f"Points are medians over {count:,} processes, bars reach over the middle 80%. At ρ = {radii[-1]:g} the "
        f"sharpness-aware bound is {last} times the standard one in the median; it is lower in {gains:,} of "
        f"{len(table):,} cells. The price is the teacher’s sharpness; what a flatter loss takes from σ is what it buys."
    )
