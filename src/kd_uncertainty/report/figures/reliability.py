"""Reliability diagrams of teachers and of their students."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.report.arms import short_label, variant
from kd_uncertainty.report.figures.style import (
    MUTED,
    TEACHER_COLOURS,
    colour,
    finish,
    nothing_to_show,
    panels,
    place,
    translucent,
)
from kd_uncertainty.report.wording import teacher_order

TITLE = "Reliability: confidence against accuracy"
Panel = tuple[str, str, pd.DataFrame]


def expected_calibration_error(bins: pd.DataFrame) -> float:
    """sum_b count_b |accuracy_b - confidence_b| / sum_b count_b over the bins that are not empty.

    Source: Naeini, Cooper & Hauskrecht 2015, "Obtaining well calibrated probabilities using Bayesian binning".
    """
    full = bins[bins["count"] > 0]
    gaps = (full["accuracy"] - full["confidence"]).abs()
    return float((gaps * full["count"]).sum() / full["count"].sum()) if len(full) else float("nan")


def reliability_diagram(
    reliability: pd.DataFrame, split: str = "test", arms: Sequence[Mapping[str, object]] = (), *, narrow: bool = False
) -> go.Figure:
    """Accuracy against mean confidence by bin, with the share of examples in each bin; ECE in every panel's title.

    Args:
        reliability: The table ``reliability``.
        split: The split to show.
        arms: The student arms to show, one a teacher, as dictionaries with ``teacher, target, num_responses``; by
            default each teacher's softest target with the most responses.
        narrow: A row a teacher (teacher beside students), for narrow screens.
    """
    shown = reliability[reliability["split"] == split] if len(reliability) else reliability
    if shown.empty:
        return nothing_to_show(TITLE, f"No reliability table on the {split} split.")
    teachers = teacher_order(shown["teacher"].astype(str))
    grid, columns = _grid(shown, teachers, arms, narrow)
    titles = ["" if panel is None else panel[1] for panel in grid]
    figure = panels(titles, columns=columns, heights=150 if narrow else 196, gap=84, side=0.08 if narrow else 0.05)
    last = {index % columns: index for index, panel in enumerate(grid) if panel is not None}
    for index, panel in enumerate(grid):
        row, column = place(index, columns)
        if panel is None:
            figure.update_xaxes(visible=False, row=row, col=column)
            figure.update_yaxes(visible=False, row=row, col=column)
            continue
        shade = colour(TEACHER_COLOURS, panel[0], teachers.index(panel[0]))
        _panel(figure, (row, column), panel[2], shade, first=index == 0)
        title = "confidence" if last[index % columns] == index and (columns < 3 or column == 2) else None
        figure.update_xaxes(range=[0, 1], tickvals=[0, 0.5, 1], title=title, row=row, col=column)
        figure.update_yaxes(range=[0, 1.02], tickvals=[0, 0.5, 1], showticklabels=column == 1, row=row, col=column)
        figure.update_yaxes(title="accuracy" if column == 1 else None, row=row, col=column)
    return finish(
        figure,
        TITLE,
        f"Accuracy against confidence in bins on the {split} split, for teachers and for the students of one arm of "
        "each; pale bars are the share of examples in a bin, the diagonal is perfect calibration.",
        head=88,
    )


def _grid(
    shown: pd.DataFrame, teachers: Sequence[str], arms: Sequence[Mapping[str, object]], narrow: bool
) -> tuple[list[Panel | None], int]:
    """Every teacher above its own students (beside them if narrow); None where there is nothing to show."""
    pairs = [_pair(shown, name, arms) for name in teachers]
    if not any(students for _, students in pairs):
        columns = min(2 if narrow else 3, len(pairs))
        return [own for own, _ in pairs], columns
    if narrow or len(pairs) == 1:
        return [panel for pair in pairs for panel in pair], 2
    columns = min(3, len(pairs))
    grid: list[Panel | None] = []
    for start in range(0, len(pairs), columns):
        block = pairs[start : start + columns] + [(None, None)] * (start + columns - len(pairs))
        grid += [own for own, _ in block] + [students for _, students in block]
    return grid, columns


def _pair(shown: pd.DataFrame, name: str, arms: Sequence[Mapping[str, object]]) -> tuple[Panel | None, Panel | None]:
    own = shown[(shown["role"] == "teacher") & (shown["teacher"] == name)]
    students = _students(shown, name, arms)
    teacher = (name, _title(name, own), own) if len(own) else None
    if students.empty:
        return teacher, None
    first = students.iloc[0]
    arm = short_label(str(first["target"]), int(first["num_responses"]))
    arm += variant(1.0, 1.0, schedule=str(first["schedule"]))
    return teacher, (name, _title(f"students: {arm}", students), students)


def _students(shown: pd.DataFrame, teacher: str, arms: Sequence[Mapping[str, object]]) -> pd.DataFrame:
    bins = shown[(shown["role"] == "students") & (shown["teacher"] == teacher)]
    if bins.empty:
        return bins
    keys = ["target", "num_responses", "mixing", "temperature", "schedule"]
    wanted = next((arm for arm in arms if arm.get("teacher") == teacher), None) or _softest(bins[keys])
    for key in keys:
        if key in wanted:
            bins = bins.loc[bins[key] == wanted[key]]
    return bins


def _softest(arms: pd.DataFrame) -> Mapping[str, object]:
    """The arm of the softest target with the most responses; one whose loss does not switch, if there is one."""
    rank = {"exact": 0, "posterior": 1, "label": 2}
    order = arms.drop_duplicates().assign(rank=[rank.get(str(name), 3) for name in arms.drop_duplicates()["target"]])
    order = order.assign(switches=order["schedule"] != CONSTANT)
    by, ascending = ["switches", "rank", "num_responses"], [True, True, False]
    return {str(k): v for k, v in order.sort_values(by, ascending=ascending).iloc[0].items()}


def _title(name: str, bins: pd.DataFrame) -> str:
    return f"{name}<br>ECE {expected_calibration_error(bins):.3f}, n = {int(bins['count'].sum()):,}"


def _panel(figure: go.Figure, at: tuple[int, int], bins: pd.DataFrame, shade: str, *, first: bool) -> None:
    counts = bins["count"].to_numpy(dtype=np.float64)
    shares = counts / max(counts.sum(), 1.0)
    middle = (bins["bin_lower"].to_numpy() + bins["bin_upper"].to_numpy()) / 2.0
    figure.add_bar(
        x=middle,
        y=shares,
        width=(bins["bin_upper"] - bins["bin_lower"]).to_numpy() * 0.9,
        marker={"color": translucent(MUTED, 0.32), "line": {"width": 0}},
        name="share of examples in the bin",
        legendgroup="share",
        showlegend=first,
        customdata=counts,
        hovertemplate="%{customdata:,} examples<extra></extra>",
        row=at[0],
        col=at[1],
    )
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": MUTED, "dash": "dash", "width": 1.2}, hoverinfo="skip",
        name="perfectly calibrated", legendgroup="diagonal", showlegend=first, row=at[0], col=at[1],
    )  # fmt: skip
    full = bins[bins["count"] > 0]
    figure.add_scatter(
        x=full["confidence"],
        y=full["accuracy"],
        mode="lines+markers",
        line={"color": shade, "width": 2},
        marker={"size": 6, "color": shade},
        name="accuracy by confidence",
        showlegend=False,
        customdata=full["count"],
        hovertemplate="confidence %{x:.3f}<br>accuracy %{y:.3f}<br>%{customdata:,} examples<extra></extra>",
        row=at[0],
        col=at[1],
    )
