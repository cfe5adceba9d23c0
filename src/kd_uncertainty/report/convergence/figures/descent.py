"""The way down: excess risk against steps, where noisy labels stay and exact ones go on."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import ArmKey, keys_of, rows_of, shades_of
from kd_uncertainty.report.figures.series import POWERS, Place, Series, line, ribbon
from kd_uncertainty.report.figures.style import finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import value_text

TITLE = "Descent: excess risk against steps"
MOST = 2
"""Step sizes that are drawn, the smallest and the largest; the table has all."""
ROUNDING = 1e-26
"""Excess risks in nats below this are rounding, and only lengthen the axis."""


def descent_figure(descent: pd.DataFrame, plateau: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Excess risk against the step on log-log axes by kind of labels, with the predicted plateaus; a panel a step size.

    Args:
        descent: The table ``descent``.
        plateau: The table ``plateau``, for the predictions; may be empty.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(descent, ("arm", "learning_rate", "step", "excess_risk")):
        return nothing_to_show(TITLE, "The descent was not run.")
    sizes = sorted(descent["learning_rate"].unique())
    shown = sizes if len(sizes) <= MOST else [sizes[0], sizes[-1]]
    keys = keys_of(descent)
    shades = shades_of(keys)
    columns = 1 if narrow else len(shown)
    figure = panels(
        [f"step size α = {value_text(float(size), 4)}" for size in shown],
        columns=columns,
        heights=260 if narrow else 320,
        gap=72,
        side=0.1,
    )
    lowest = []
    for index, size in enumerate(shown):
        at, own = place(index, columns), choose(descent, learning_rate=size)
        for key in keys:
            lowest += _curve(figure, at, own, key, shades[key.label], first=index == 0)
        if not missing(plateau, ("arm", "learning_rate", "predicted_plateau")):
            _predictions(figure, at, own, choose(plateau, learning_rate=size), shades, first=index == 0)
        named = names_axis(index, columns, len(shown))
        figure.update_xaxes(**POWERS, dtick=1, title="steps" if named else None, row=at[0], col=at[1])
        figure.update_yaxes(**POWERS, nticks=7, row=at[0], col=at[1])
    others = len(sizes) - len(shown)
    notes = [f"{others} more step sizes are in the table."] if others else []
    return finish(figure, TITLE, _description(lowest), head=130 if narrow else 110, notes=notes)


def _curve(
    figure: go.Figure, at: Place, own: pd.DataFrame, key: ArmKey, shade: str, *, first: bool
) -> list[tuple[str, Estimate]]:
    """Draw an arm's curve; returns its last value under its name."""
    rows = sorted((row for row in rows_of(own, key) if row["step"] > 0), key=lambda row: row["step"])
    values = [estimate_of(row, "excess_risk") for row in rows]
    ribbon(figure, at, Series(key.label, shade, [float(r["step"]) for r in rows], values), first=first, floor=ROUNDING)
    return [(key.label, values[-1])] if values else []


def _predictions(
    figure: go.Figure, at: Place, own: pd.DataFrame, plateau: pd.DataFrame, shades: dict[str, str], *, first: bool
) -> None:
    last = float(own["step"].max())
    for key in keys_of(plateau):
        rows = rows_of(plateau, key)
        height = float(rows[0]["predicted_plateau"])
        if height > 0.0 and key.label in shades:
            name = "α σ*/4" if key.arm == "one_hot" else f"{key.label}: α σ*/4"
            shown = first and key.arm == "one_hot"
            line(figure, at, [last / 30.0, last], [height] * 2, name, shades[key.label], first=shown, dash="dot")


def _description(lowest: Sequence[tuple[str, Estimate]]) -> str:
    ends = {label: value.estimate for label, value in lowest if value.known}  # of the last panel
    text = "Lines are means over seeds, bands their intervals; dotted: the predicted plateau α σ*/4. "
    exact, one_hot = ends.get("exact"), ends.get("one-hot")
    if exact is None or one_hot is None:
        return text + "Noisy labels stay at a plateau, exact probabilities do not."
    return (
        f"{text}At the largest step shown one-hot labels end at an excess risk of {value_text(one_hot)} nats and exact "
        f"probabilities at {value_text(exact)}."
    )
