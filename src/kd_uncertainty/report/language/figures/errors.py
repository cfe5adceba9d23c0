"""Accuracy and the two kinds of mistakes against k, by method, beside the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from kd_uncertainty.report.figures.series import Place, Series, band, draw
from kd_uncertainty.report.figures.style import MUTED, colour, finish, names_axis, nothing_to_show, panels, place
from kd_uncertainty.report.language.arms import Arm, Study
from kd_uncertainty.report.language.figures.axes import aside, responses_axis
from kd_uncertainty.report.language.wording import (
    COLOURS,
    METHOD_NAMES,
    METRIC_NAMES,
    SHARES,
    SPLIT_NAMES,
    TEACHER,
    metric_text,
)
from kd_uncertainty.report.wording import listing

TITLE = "How often answers are right, and how they are wrong"
METRICS = ("accuracy", "systematic_noise", "hallucination", "keeps_modal", "entropy_answers")
MOST_ROWS = 4


def errors_figure(study: Study, *, narrow: bool = False) -> go.Figure:
    """Metrics against k by method; a row of panels a metric, a column a split.

    Args:
        study: The arms and the teacher; without references what needs none is drawn.
        narrow: One panel below the other, for narrow screens.
    """
    metrics = [
        name for name in METRICS if any(arm.metric(name, split).known for arm in study.arms for split in study.splits)
    ][:MOST_ROWS]
    splits = [split for split in study.splits if any(arm.metric(n, split).known for arm in study.arms for n in metrics)]
    cells = [(metric, split) for metric in metrics for split in splits]
    if not cells:
        return nothing_to_show(TITLE, "No answers of students were judged.")
    columns = 1 if narrow else len(splits)
    figure = panels(
        [f"{METRIC_NAMES[metric]}: {SPLIT_NAMES.get(split, split)}" for metric, split in cells],
        columns=columns,
        heights=180,
        gap=80,
        side=0.09,
    )
    named: set[str] = set()
    for index, (metric, split) in enumerate(cells):
        at = place(index, columns)
        _panel(figure, at, study, (metric, split), named)
        counts = [float(arm.num_responses) for arm in study.arms]
        responses_axis(figure, at, counts, titled=names_axis(index, columns, len(cells)))
        figure.update_yaxes(
            tickformat=".0%" if metric in SHARES else None, nticks=6, rangemode="tozero", row=at[0], col=at[1]
        )
    return finish(figure, TITLE, _description(study, metrics, splits), head=160 if narrow else 110)


def _panel(figure: go.Figure, at: Place, study: Study, cell: tuple[str, str], named: set[str]) -> None:
    metric, split = cell
    counts = [float(arm.num_responses) for arm in study.arms]
    told = study.teacher.metric(metric, split)
    if told.known:
        name = "the teacher’s own answers"
        band(figure, at, [min(counts), max(*counts, 2.0)], told, name, MUTED, first=TEACHER not in named)
        named.add(TEACHER)
    for rank, method in enumerate(study.methods):
        arms = study.of(method)
        x = aside([float(arm.num_responses) for arm in arms], rank, len(study.methods))
        values = [arm.metric(metric, split) for arm in arms]
        label = METHOD_NAMES.get(method, method.replace("_", " "))
        if any(value.known for value in values):
            draw(figure, at, Series(label, colour(COLOURS, method, rank), x, values), first=label not in named)
            named.add(label)


def _description(study: Study, metrics: Sequence[str], splits: Sequence[str]) -> str:
    text = "Points are arms with intervals over prompts and students; the band is the teacher."
    if "systematic_noise" in metrics:
        text += " Systematic noise: students agree on a wrong answer; hallucination: a student is sure of one."
    for split in splits[:1]:
        for metric in metrics[:2]:
            told = [
                f"{arm.label} {metric_text(metric, arm.metric(metric, split))}"
                for arm in (study.teacher, *_ends(study))
                if arm.metric(metric, split).known
            ]
            name = METRIC_NAMES[metric]
            text += f" {name[0].upper()}{name[1:]}, {SPLIT_NAMES.get(split, split)}: {listing(told)}."
    return text


def _ends(study: Study) -> list[Arm]:
    """Students of all answers with the fewest and with the most responses."""
    arms = study.of("multi")
    return arms[:1] + arms[1:][-1:]
