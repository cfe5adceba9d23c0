"""Progress in lower eigendirections against that in the top one: the student's curve bends below the teacher's."""

from __future__ import annotations

from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.deviations.claims.eigenspace import MODELS
from kd_uncertainty.report.figures.series import Series
from kd_uncertainty.report.figures.style import finish, names_axis, nothing_to_show, panels, place, safe
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.wording import ordered

TITLE = "Progress in a lower eigendirection, at equal progress in the top one"
COLUMNS = ("model", "descent", "start", "teacher_stop", "role", "step", "direction", "progress")
DIRECTIONS = {2: "#0072B2", 4: "#009E73", 8: "#C07A00"}
ROLES = {"teacher": "dot", "student": "solid", "control": "dash"}


class Panel(NamedTuple):
    """What a panel shows."""

    task: str
    model: str
    start: str

    @property
    def title(self) -> str:
        """``linear squared``, ``mlp, own start``."""
        start = "" if self.start == "zero" else f", {self.start} start"
        task = "" if self.task in ("", "gaussian") else f", {self.task} task"
        return f"{self.model.replace('_', ' ')}{start}{task}"


def trajectories_figure(table: pd.DataFrame, *, narrow: bool = False) -> go.Figure:
    """Teacher, student and control in three lower directions; a panel a model, with its earliest teacher.

    Args:
        table: The table ``eigenspace_trajectories``.
        narrow: One panel below the other, for narrow screens.
    """
    if missing(table, COLUMNS):
        return nothing_to_show(TITLE, "No paths were recorded.")
    plain = choose(table, descent="plain")
    shown = _panels(plain)
    columns = 1 if narrow else 3
    figure = panels(
        [safe(panel.title) for panel in shown], columns=columns, heights=250 if narrow else 230, gap=78, side=0.07
    )
    named: set[str] = set()
    for index, panel in enumerate(shown):
        at = place(index, columns)
        own = _rows(plain, panel)
        top = own[own["direction"] == 1].set_index(["role", "step"])["progress"]
        for direction, shade in DIRECTIONS.items():
            for role, dash in ROLES.items():
                rows = own[(own["direction"] == direction) & (own["role"] == role)].sort_values("step")
                if rows.empty:
                    continue
                name = f"{role}, direction {direction}"
                records: list[dict[Any, Any]] = rows.to_dict("records")
                x = [float(top[role, row["step"]]) for row in records]
                values = [estimate_of(row, "progress") for row in records]
                draw_line(figure, at, Series(name, shade, x, values, dash=dash), first=name not in named)
                named.add(name)
        figure.update_xaxes(
            title="progress in direction 1" if names_axis(index, columns, len(shown)) else None,
            range=[0.0, 1.05],
            nticks=6,
            row=at[0],
            col=at[1],
        )
        figure.update_yaxes(title="progress" if at[1] == 1 else None, range=[0.0, 1.25], nticks=6, row=at[0], col=at[1])
    return finish(figure, TITLE, _description(shown), head=190 if narrow else 120, notes=_notes(plain))


def draw_line(figure: go.Figure, at: tuple[int, int], series: Series, *, first: bool) -> None:
    """A series without points and intervals, in which x may go back."""
    figure.add_scatter(
        x=list(series.x),
        y=[value.estimate for value in series.values],  # noqa: PD011
        mode="lines",
        line={"color": series.shade, "dash": series.dash, "width": 1.8},
        name=safe(series.name),
        legendgroup=series.name,
        showlegend=first,
        hovertemplate=f"{safe(series.name)}<br>%{{x:.3f}}: %{{y:.3f}}<extra></extra>",
        row=at[0],
        col=at[1],
    )


def _panels(plain: pd.DataFrame) -> list[Panel]:
    tasks = plain["task"] if "task" in plain else pd.Series("", index=plain.index)
    found = {
        Panel(str(task), str(row["model"]), str(row["start"])) for task, row in zip(tasks, _records(plain), strict=True)
    }
    models = ordered([panel.model for panel in sorted(found)], tuple(MODELS))
    return sorted(
        found, key=lambda panel: (panel.task != "gaussian", panel.task, models.index(panel.model), panel.start)
    )


def _records(plain: pd.DataFrame) -> list[dict[Any, Any]]:
    found: list[dict[Any, Any]] = plain[["model", "start"]].to_dict("records")
    return found


def _rows(plain: pd.DataFrame, panel: Panel) -> pd.DataFrame:
    own = choose(plain, model=panel.model, start=panel.start)
    own = choose(own, task=panel.task) if "task" in own else own
    return choose(own, teacher_stop=own["teacher_stop"].min())


def _notes(plain: pd.DataFrame) -> list[str]:
    stop = int(plain["teacher_stop"].min())
    return [f"Teachers stopped after {stop:,} steps; curves are means over seeds, without their intervals."]


def _description(shown: list[Panel]) -> str:
    control = any(panel.model == "mlp" for panel in shown)
    return (
        "Progress is relative to the teacher’s when it stopped. Where a student’s solid curve lies below its teacher’s "
        "dotted one, it is behind in the lower direction at equal progress in the top one: it exaggerates the top."
        + (" The control’s dashed curve learnt the labels from the student’s own start." if control else "")
    )
