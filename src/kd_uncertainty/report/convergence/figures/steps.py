"""The step sweep: the distance that is left beside the two guarantees, and whether the start is forgotten."""

from __future__ import annotations

import math

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import keys_of, rows_of, shades_of
from kd_uncertainty.report.convergence.claims.steps import Limit, read_limits
from kd_uncertainty.report.figures.series import POWERS, Place, Series, draw, line
from kd_uncertainty.report.figures.style import MUTED, finish, nothing_to_show, panels
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import listing, value_text

TITLE = "Step size: the two guarantees and the limit that was measured"
COLUMNS = ("arm", "learning_rate", "guarantee", "contraction", "growth")
LOWEST = 1e-12
"""Shares of the start below this are drawn at it: exact probabilities go on to rounding, far down the axis."""


def step_sweep_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Contraction with the theorem's bound, and the factor by which the start is forgotten a step, against α L.

    Args:
        table: The table ``step_sweep``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "The step sweep was not run.")
    unit = float(table["guarantee"].max())  # 1/L, the guarantee with exact probabilities
    keys, shades = keys_of(table), shades_of(keys_of(table))
    titles = ["squared distance to the optimum,<br>share of the start", "memory of the start:<br>log factor a step"]
    figure = panels(titles, columns=1 if narrow else 2, heights=250 if narrow else 320, gap=96, side=0.12)
    second = (2, 1) if narrow else (1, 2)
    low, heights, growths = 0, [], []
    for key in keys:
        rows = sorted(rows_of(table, key), key=lambda row: row["learning_rate"])
        x = [float(row["learning_rate"]) / unit for row in rows]
        values = [estimate_of(row, "contraction") for row in rows]
        growth = [estimate_of(row, "growth") for row in rows]
        low += sum(value.estimate < LOWEST for value in values)
        values = [Estimate(*(max(end, LOWEST) for end in value)) if value.known else value for value in values]
        draw(figure, (1, 1), Series(key.label, shades[key.label], x, values), first=True)
        draw(figure, second, Series(key.label, shades[key.label], x, growth), first=False)
        _bound(figure, rows, unit, shades[key.label], first=key.arm == "one_hot")
        heights += values
        growths += growth
    line(figure, second, [*_ends(table, unit)], [0.0, 0.0], "not forgotten", MUTED, first=False, dash="solid")
    for at in ((1, 1), second):
        _guarantees(figure, at, _range(at, heights, growths))
        figure.update_xaxes(
            type="log", tickvals=[0.1, 0.5, 1, 2, 5, 10, 30], tickangle=0, tickformat="~g", row=at[0], col=at[1]
        )
        figure.update_xaxes(title="step size, in 1/L" if at == second or not narrow else None, row=at[0], col=at[1])
    figure.update_yaxes(**POWERS, nticks=7, row=1, col=1)
    figure.update_yaxes(nticks=6, row=second[0], col=second[1])
    notes = [f"{low} shares below {value_text(LOWEST)} are drawn there."] if low else []
    return finish(figure, TITLE, _description(read_limits(table), unit), head=120 if narrow else 100, notes=notes)


def _ends(table: pd.DataFrame, unit: float) -> tuple[float, float]:
    return float(table["learning_rate"].min()) / unit, float(table["learning_rate"].max()) / unit


def _bound(figure: go.Figure, rows: list[dict[str, object]], unit: float, shade: str, *, first: bool) -> None:
    """The theorem's bound where it is promised, as a share of the start like the points."""
    promised = [
        (float(row["learning_rate"]) / unit, float(row["bound"]) * _per_start(row))  # type: ignore[arg-type]
        for row in rows
        if row.get("within_guarantee") and "bound" in row
    ]
    if promised:
        x, y = zip(*promised, strict=True)
        kept = [max(value, LOWEST) for value in y]
        line(figure, (1, 1), x, kept, "the theorem’s bound", shade, first=first, dash="dash")


def _per_start(row: dict[str, object]) -> float:
    """One over the squared distance at the start, from the two ways in which the table gives the end."""
    final, share = float(row.get("final_distance", "nan")), float(row["contraction"])  # type: ignore[arg-type]
    return share / final if final > 0.0 else float("nan")


def _range(at: Place, heights: list[Estimate], growths: list[Estimate]) -> tuple[float, float]:
    values = heights if at == (1, 1) else growths
    known = [end for value in values for end in value if math.isfinite(end)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    return low, high


def _guarantees(figure: go.Figure, at: Place, ends: tuple[float, float]) -> None:
    """Vertical lines at 1/(2L), promised with noisy labels, and 1/L, promised with exact probabilities."""
    for where, text, anchor in ((0.5, "1/(2L)", "right"), (1.0, "1/L", "left")):
        line(figure, at, [where, where], list(ends), f"guarantee {text}", MUTED, first=False, dash="dot")
        axes = figure.get_subplot(*at)
        figure.add_annotation(
            text=text,
            x=math.log10(where),
            y=axes.yaxis.domain[0],
            xref=axes.yaxis.anchor,
            yref="paper",
            xanchor=anchor,
            yanchor="bottom",
            showarrow=False,
            font={"size": 11, "color": MUTED},
        )


def _description(limits: dict[str, Limit], unit: float) -> str:
    names = {"one_hot": "one-hot labels", "exact": "exact probabilities"}
    texts = [
        f"{value_text(limit.lower / unit, 2)}/L with {names.get(arm, arm)}"
        for arm, limit in limits.items()
        if limit.lower > 0.0
    ]
    stable = f"The start is forgotten at every step size up to {listing(texts)}." if texts else ""
    return (
        "First panel: the mean squared distance to the optimum at the end, with intervals, and the theorem’s bound "
        "where it is promised (dashed): up to 1/(2L) with one-hot labels, up to 1/L with exact probabilities. Second: "
        f"the factor by which two students that start apart come together; above 0 they do not. {stable}"
    )
