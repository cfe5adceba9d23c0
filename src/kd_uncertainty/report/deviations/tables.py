"""Tables of the deviations report as rows of finished strings."""

from __future__ import annotations

from collections.abc import Sequence

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.columns import Column, columns_table
from kd_uncertainty.report.deviations.arms import Arm
from kd_uncertainty.report.deviations.schedules import Schedule, candidates
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import NOT_MEASURED, metric_with_interval, number, with_bounds, with_interval

ARM: tuple[Column, ...] = (
    ("teacher", "teacher", "text"),
    ("student", "student", "text"),
    ("temperature", "τ", "value"),
)
WORLD: tuple[Column, ...] = (("signal", "signal", "text"), ("similarity", "similarity", "value"))
COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "deviations": (
        "Deviations of every arm",
        (
            *ARM,
            ("split", "split", "text"),
            ("statistic", "figure", "text"),
            ("group", "group", "text"),
            ("estimate", "value", "estimate"),
            ("standard_errors", "in standard errors", "value"),
        ),
    ),
    "gains": (
        "Rank correlation of deviations with the gain",
        (
            ("arms", "arms", "text"),
            ("split", "split", "text"),
            ("statistic", "figure", "text"),
            ("group", "group", "text"),
            ("correlation", "rank correlation", "value"),
            ("lower", "from", "value"),
            ("upper", "to", "value"),
            ("num_arms", "arms", "count"),
        ),
    ),
    "switching_teachers": (
        "Teachers of the switching experiment",
        (
            ("teacher", "teacher", "text"),
            ("split", "split", "text"),
            ("metric", "figure", "text"),
            ("epochs", "epochs", "count"),
            ("estimate", "value", "estimate"),
        ),
    ),
    "eigenspace_pairs": (
        "Pairs of eigendirections",
        (
            ("task", "task", "text"),
            ("model", "model", "text"),
            ("descent", "descent", "text"),
            ("start", "start", "text"),
            ("role", "role", "text"),
            ("coarse", "coarse record", "text"),
            ("record_every", "recorded every", "count"),
            ("teacher_stop", "teacher’s steps", "count"),
            ("share", "student behind", "interval"),
            ("gap", "by progress", "interval"),
            ("num_seeds", "seeds", "count"),
        ),
    ),
    "denoising_entries": (
        "Destructive entries and flips",
        (
            *WORLD,
            ("teacher", "teacher", "text"),
            ("teacher_step", "teacher’s steps", "count"),
            ("student_step", "student’s steps", "count"),
            ("destructive", "destructive", "interval"),
            ("flip", "turned round", "interval"),
            ("false_flip", "harmless ones turned round", "interval"),
            ("teacher_accuracy", "labels that the teacher fits", "interval"),
        ),
    ),
    "denoising_alignment": (
        "Alignment with the true weights",
        (
            *WORLD,
            ("quantity", "of", "text"),
            ("teacher", "teacher", "text"),
            ("teacher_step", "teacher’s steps", "count"),
            ("student_step", "student’s steps", "count"),
            ("cosine", "cosine", "interval"),
            ("gain", "over one-hot", "interval"),
        ),
    ),
}


def schedules_table(schedules: Sequence[Schedule], split: str) -> TableView:
    """Accuracy, NLL, and the share of distillation's gain in either, by schedule."""
    rows = tuple(
        (
            one.label,
            metric_with_interval("accuracy", one.value("accuracy", split)),
            with_interval(one.recovered("accuracy", split), percentage=True),
            with_bounds(one.value("nll", split)),
            with_interval(one.recovered("nll", split), percentage=True),
        )
        for one in candidates(schedules)
    )
    header = ("schedule", "accuracy", "of distillation’s gain", "NLL", "of distillation’s gain")
    return TableView(f"Schedules, {split} split", header, rows)


def arms_table(arms: Sequence[Arm], split: str) -> TableView:
    """Slope, share and accuracy of every arm with its control beside it."""
    rows = tuple(
        (
            arm.label,
            with_bounds(arm.figure("slope_low_quartile", split), 2),
            with_bounds(arm.beside("slope_low_quartile", split), 2),
            _errors(arm, "slope_low_quartile", split),
            with_interval(arm.figure("low_decile_below", split), percentage=True),
            with_interval(arm.beside("low_decile_below", split), percentage=True),
            metric_with_interval("accuracy", arm.figure("accuracy", split)),
            with_interval(arm.gain(split), percentage=True),
        )
        for arm in arms
    )
    header = (
        "arm",
        "slope, least sure quarter",
        "its control",
        "apart",
        "below the teacher, least sure tenth",
        "its control",
        "accuracy",
        "over labels alone",
    )
    return TableView(f"Students and controls, {split} points", header, rows)


def _errors(arm: Arm, statistic: str, split: str) -> str:
    text = number(arm.standard_errors(statistic, split), 1)
    return text if text == NOT_MEASURED else f"{text} s.e."


def report_tables(tables: Tables, arms: Sequence[Arm], schedules: Sequence[Schedule], split: str) -> list[TableView]:
    """The tables at the end of the report; empty ones are left out."""
    views = [schedules_table(schedules, split), arms_table(arms, "train"), arms_table(arms, split)]
    views += [columns_table(caption, columns, table(tables, name)) for name, (caption, columns) in COLUMNS.items()]
    return [view for view in views if view.rows]
