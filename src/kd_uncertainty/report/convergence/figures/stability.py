"""Convergence noise by its several definitions, each over that of one-hot labels; nothing is picked."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.convergence.arms import NOISE_NAMES, NetworkArm, read_arms, shades_of
from kd_uncertainty.report.figures.series import line
from kd_uncertainty.report.figures.style import MUTED, bars_of, finish, names_axis, nothing_to_show, panels, place, safe
from kd_uncertainty.report.wording import number

TITLE = "Convergence noise of networks, over that of one-hot labels"
ROW = 26
TICKS = (
    (0.75, (0.2, 0.3, 0.4, 0.5, 0.7, 1, 1.5, 2, 3, 4)),
    (1.4, (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)),
    (2.4, (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)),
    (9.0, (0.01, 0.1, 1, 10, 100)),
)
"""Ticks of a logarithmic axis by how many decades it may span at most."""


def stability_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The ratio of each convergence noise to one-hot's by kind of labels; a panel a definition.

    Args:
        table: The table ``stability``.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"stability": table}) if arm.key.arm != "one_hot"]
    names = [name for name in NOISE_NAMES if any(arm.noise_ratio(name).estimate > 0.0 for arm in arms)]
    if not names:
        return nothing_to_show(TITLE, "No networks were trained.")
    shades = shades_of([arm.key for arm in arms])
    columns = 1 if narrow else 3
    figure = panels(
        [NOISE_NAMES[name] for name in names], columns=columns, heights=ROW * len(arms) + 14, gap=66, side=0.05
    )
    ends = [end for arm in arms for name in names for end in arm.noise_ratio(name) if end > 0.0 and math.isfinite(end)]
    reach = [max(math.log10(min(*ends, 0.9)), -4.0) - 0.05, min(math.log10(max(*ends, 1.1)), 4.0) + 0.05]
    for index, name in enumerate(names):
        at = place(index, columns)
        _panel(figure, at, arms, [arm.noise_ratio(name) for arm in arms], shades)
        figure.update_xaxes(
            type="log",
            range=reach,
            tickvals=next(ticks for decades, ticks in TICKS if reach[1] - reach[0] <= decades),
            tickangle=0,
            title="ratio to one-hot" if names_axis(index, columns, len(names)) else None,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(showticklabels=at[1] == 1, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(arms, names), head=50)


def _panel(
    figure: go.Figure,
    at: tuple[int, int],
    arms: Sequence[NetworkArm],
    values: Sequence[Estimate],
    shades: dict[str, str],
) -> None:
    line(figure, at, [1.0, 1.0], [-0.6, len(arms) - 0.4], "one-hot", MUTED, first=False, dash="solid")
    known = [(rank, arm, value) for rank, (arm, value) in enumerate(zip(arms, values, strict=True)) if value.known]
    figure.add_scatter(
        x=[value.estimate for *_, value in known],
        y=[rank for rank, *_ in known],
        error_x=bars_of([value for *_, value in known], color=MUTED),
        mode="markers",
        marker={"size": 8, "color": [shades[arm.key.label] for _, arm, _ in known]},
        name="ratio",
        showlegend=False,
        text=[safe(arm.key.label) for _, arm, _ in known],
        hovertemplate="%{text}: × %{x:.3f}<extra></extra>",
        row=at[0],
        col=at[1],
    )
    figure.update_yaxes(
        range=[len(arms) - 0.4, -0.6],
        tickvals=list(range(len(arms))),
        ticktext=[safe(arm.key.label) for arm in arms],
        showgrid=False,
        zeroline=False,
        row=at[0],
        col=at[1],
    )


def _description(arms: Sequence[NetworkArm], names: Sequence[str]) -> str:
    text = "Left of the line training is calmer than with one-hot labels; points are ratios paired over seeds, with "
    text += "intervals. All definitions stand side by side, as none is settled."
    exact = next((arm for arm in arms if arm.key.arm == "exact"), None)
    if exact is not None:
        known = [exact.noise_ratio(name).estimate for name in names if exact.noise_ratio(name).known]
        text += f" Exact probabilities leave {number(min(known), 2)} to {number(max(known), 2)} of it." if known else ""
    teachers = [arm for arm in arms if arm.is_teacher]
    below = sum(arm.noise_ratio(name).upper < 1.0 for arm in teachers for name in names)
    if teachers:
        text += f" Of {len(teachers) * len(names)} ratios of teachers {below} lie below 1 with their whole interval."
    return text
