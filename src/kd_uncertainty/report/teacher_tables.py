"""Which teacher: the comparison as tables of the page."""

from __future__ import annotations

import pandas as pd

from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.figures.teachers import ranked_teachers
from kd_uncertainty.report.frames import choose
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED, metric_with_interval, with_bounds
from kd_uncertainty.schemas import NO_TEACHER

_SHOWN = ("NLL", "accuracy", "ECE")


def teacher_tables(comparison: pd.DataFrame, split: str) -> list[TableView]:
    """The tables of the comparison; none where it was not run."""
    return [] if comparison.empty else [teachers_compared(comparison, split), noise_table(comparison)]


def teachers_compared(comparison: pd.DataFrame, split: str) -> TableView:
    """Every teacher at all examples and draws, mixing 1 and temperature 1: its students, then itself."""
    plain = comparison[(comparison["mixing"] != 1.0).eq(comparison["teacher"] == NO_TEACHER)]
    plain = plain[(plain["temperature"] == 1.0) & (plain["fraction"] == 1.0)]
    own_columns = (("validation", "nll"), (split, "nll"), (split, "accuracy"), (split, "ece"))
    columns = (
        *own_columns,
        ("train", "teacher_error"),
        (split, "teacher_nll"),
        (split, "teacher_accuracy"),
        (split, "teacher_ece"),
    )
    rows = []
    for name in [*ranked_teachers(choose(plain, metric="nll")), NO_TEACHER]:
        own = choose(plain, teacher=name)
        own = choose(own, num_draws=own["num_draws"].max())
        cells = (_cell(own, part, metric) for part, metric in columns)
        rows.append(("one-hot control" if name == NO_TEACHER else name, str(own["num_draws"].max()), *cells))
    header: tuple[str, ...] = ("teacher", "draws", "validation NLL", *(f"{split} {name}" for name in _SHOWN))
    header += ("teacher's error", f"teacher's {split} NLL", "its accuracy", "its ECE")
    return TableView("Students of every teacher, and the teachers themselves", header, tuple(rows), 1)


def noise_table(comparison: pd.DataFrame) -> TableView:
    """Convergence noise of every teacher's students, by every definition."""
    names = {
        "noise_accuracy_std": "accuracy, std",
        "noise_accuracy_step": "accuracy, steps",
        "noise_nll_std": "NLL, std",
        "noise_nll_step": "NLL, steps",
        "gradient_variance": "gradient variance",
    }
    noise = comparison[comparison["metric"].isin(names) & comparison["estimate"].notna()]
    rows = [
        (
            "one-hot control" if teacher == NO_TEACHER else str(teacher),
            *(_cell(own, None, metric) for metric in names),
        )
        for teacher, own in noise.groupby("teacher", sort=False)
    ]
    caption = "Convergence noise of the students, validation split; gradients over the training examples"
    return TableView(caption, ("teacher", *names.values()), tuple(rows), 1)


def _cell(own: pd.DataFrame, split: str | None, metric: str) -> str:
    found = choose(own, metric=metric) if split is None else choose(own, metric=metric, split=split)
    value = estimate_of(found.to_dict("records")[0] if len(found) else {})
    if not value.known:
        return NOT_MEASURED
    if metric.startswith(("noise_", "gradient_")):
        return with_bounds(value)
    return metric_with_interval(metric.removeprefix("teacher_"), value)
