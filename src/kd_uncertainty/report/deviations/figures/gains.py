"""Does it pay to deviate? The arms' deviation against their gain, and rank correlations by set of arms."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.deviations.arms import TEACHERS, Arm, read_arms, teacher_name
from kd_uncertainty.report.deviations.claims.gains import GROUPS, PLACE, STATISTIC, correlations
from kd_uncertainty.report.deviations.figures.dots import ROW, Dots, draw_dots
from kd_uncertainty.report.figures.series import Place
from kd_uncertainty.report.figures.style import SPARE_COLOURS, bars_of, finish, nothing_to_show, panels, safe
from kd_uncertainty.report.wording import ordered, with_bounds, with_interval

TITLE = "Do students that deviate more gain more?"
COLOURS = {"interpolating": "#0072B2", "early_stopped": "#C07A00"}
SHADES = {"student": "#0072B2", "difference": "#A65698"}


def gains_figure(deviations: pd.DataFrame, gains: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """The gain in test accuracy against the train slope, a point an arm; and the rank correlations of the two.

    Args:
        deviations: The table ``deviations``; may be empty.
        gains: The table ``gains``; may be empty.
        narrow: One panel below the other, for narrow screens.
    """
    arms = [arm for arm in read_arms({"deviations": deviations}) if _x(arm).known and arm.gain("test").known]
    found = correlations(gains)
    sets = list(dict.fromkeys(name for name, *_ in found))
    if not arms and not sets:
        return nothing_to_show(TITLE, "No students were compared with a teacher.")
    titles = ["gain in test accuracy<br>against the train slope", "rank correlation<br>with the gain"]
    columns = 1 if narrow else 2
    height = 290 if not narrow else [270, max(ROW * len(sets) + 30, 90)]
    figure = panels(titles, columns=columns, heights=height, gap=100, side=0.2)
    _points(figure, (1, 1), arms)
    at = (2, 1) if narrow else (1, 2)
    values = {(name, group): rho for name, group, rho, _ in found}
    rows = ["all arms" if name == "all" else teacher_name(name) for name in sets]
    dots = [
        Dots(f"slope {words}", SHADES[group], [values.get((name, group), NO_ESTIMATE) for name in sets])
        for group, words in GROUPS.items()
    ]
    draw_dots(figure, at, rows, dots, named=set(), reference=0.0)
    figure.update_xaxes(range=[-1.08, 1.08], nticks=6, title="Spearman’s rank correlation", row=at[0], col=at[1])
    return finish(figure, TITLE, _description(found), head=130 if narrow else 110)


def _x(arm: Arm) -> Estimate:
    return arm.figure(STATISTIC, PLACE)


def _points(figure: go.Figure, at: Place, arms: Sequence[Arm]) -> None:
    for index, teacher in enumerate(ordered([arm.teacher for arm in arms], TEACHERS)):
        own = [arm for arm in arms if arm.teacher == teacher]
        shade = COLOURS.get(teacher, SPARE_COLOURS[index % len(SPARE_COLOURS)])
        x, y = [_x(arm) for arm in own], [arm.gain("test") for arm in own]
        figure.add_scatter(
            x=[value.estimate for value in x],
            y=[value.estimate for value in y],
            error_x=bars_of(x, color=shade),
            error_y=bars_of(y, color=shade),
            mode="markers",
            marker={"size": 8, "color": shade},
            name=safe(f"{teacher_name(teacher)} teacher"),
            text=[
                f"{safe(arm.label)}<br>slope {with_bounds(_x(arm), 2)}<br>gain "
                f"{with_interval(arm.gain('test'), percentage=True)}"
                for arm in own
            ],
            hovertemplate="%{text}<extra></extra>",
            row=at[0],
            col=at[1],
        )
    figure.update_xaxes(title="train slope, least sure quarter", nticks=6, row=at[0], col=at[1])
    figure.update_yaxes(tickformat=".0%", nticks=6, row=at[0], col=at[1])


def _description(found: Sequence[tuple[str, str, Estimate, int]]) -> str:
    text = (
        "A point is an arm; its gain is the accuracy above the same networks trained as long on labels alone. Right: "
        "the rank correlation of slope and gain, with bootstrap intervals over arms."
    )
    for name, group, rho, count in found:
        if (name, group) == ("all", "student"):
            text += f" Over all {count} arms it is {with_bounds(rho, 2)}."
    return text
