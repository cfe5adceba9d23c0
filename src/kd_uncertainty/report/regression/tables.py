"""Tables of the regression report as rows of finished strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.columns import Column, columns_table
from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.regression.advice import read_advice
from kd_uncertainty.report.regression.arms import read_arms
from kd_uncertainty.report.regression.budgets import read_budgets
from kd_uncertainty.report.regression.wording import METRIC_NAMES
from kd_uncertainty.report.tables import TableView
from kd_uncertainty.report.wording import SOURCES, percent, with_bounds, with_interval

SECTION_COLUMNS: dict[str, tuple[str, tuple[Column, ...]]] = {
    "teacher_output": (
        "Teacher output: variance and error by noise",
        (
            ("model", "students", "text"),
            ("noise", "noise / Var(y)", "value"),
            ("num_students", "students trained", "count"),
            ("inter_variance", "inter-student variance", "interval"),
            ("closed_form_variance", "closed form", "value"),
            ("test_mse", "test MSE", "interval"),
            ("closed_form_mse", "closed form", "value"),
        ),
    ),
    "initialisation": (
        "Initialisation: dispersion and variance by σ",
        (
            ("targets", "labels", "text"),
            ("initialisation", "start", "text"),
            ("sigma", "σ", "value"),
            ("num_students", "students trained", "count"),
            ("parameter_dispersion", "parameters at the start", "interval"),
            ("trained_dispersion", "parameters after training", "interval"),
            ("inter_variance", "inter-student variance", "interval"),
            ("test_mse", "test MSE", "interval"),
        ),
    ),
    "bootstrap": (
        "Bootstrap: variance and error by size",
        (
            ("model", "students", "text"),
            ("targets", "labels", "text"),
            ("fraction", "size / n", "share"),
            ("num_students", "students trained", "count"),
            ("inter_variance", "inter-student variance", "interval"),
            ("test_mse", "test MSE", "interval"),
        ),
    ),
    "student_output": (
        "Student output: entropy by target",
        (
            ("source", "source", "text"),
            ("role", "role", "text"),
            ("model", "model", "text"),
            ("target", "trained on", "text"),
            ("subset", "points", "text"),
            ("num_points", "number of points", "value"),
            ("entropy", "entropy, nats", "interval"),
            ("entropy_ratio", "students / teacher", "interval"),
            ("accuracy", "accuracy", "interval"),
        ),
    ),
    "remedies": (
        "Remedies: variance and ratios by method",
        (
            ("model", "students", "text"),
            ("noise", "noise / Var(y)", "value"),
            ("num_responses", "k", "count"),
            ("method", "method", "text"),
            ("responses_used", "responses spent", "count"),
            ("inter_variance", "inter-student variance", "interval"),
            ("test_mse", "test MSE", "interval"),
            ("variance_ratio", "ratio at the same k", "interval"),
            ("equal_budget_ratio", "ratio for the same spending", "interval"),
            ("predicted_ratio", "predicted ratio", "value"),
        ),
    ),
}


def section_table(name: str, frame: pd.DataFrame) -> TableView:
    """The table of a section of the paper; columns that it lacks are left out."""
    caption, columns = SECTION_COLUMNS[name]
    return columns_table(caption, columns, frame)


def claims_table(claims: Sequence[Mapping[str, Any]]) -> TableView:
    """Every claim with our figure, its interval and the verdict."""
    rows = tuple(
        (
            str(claim["section"]),
            str(claim["claim"]) + (" (ours)" if claim["ours"] else ""),
            str(claim["measured"]),
            str(claim["verdict"]),
        )
        for claim in claims
    )
    return TableView("Claims and verdicts", ("section", "claim", "our figure [interval]", "verdict"), rows, 2)


def advice_table(tables: Tables) -> TableView:
    """What to buy by curve, way to deploy and budget."""
    rows = tuple(
        (
            row.curve,
            row.way,
            f"{row.budget:g}",
            row.responses_text(),
            str(row.num_students),
            with_bounds(row.variance),
            percent(row.same_choice_share, 0),
            "yes" if row.extrapolated else "no",
        )
        for row in read_advice(tables)
    )
    header = ("curve", "deployed", "budget", "k", "students", "variance", "replicates that agree", "beyond the grid")
    return TableView("What to buy for a budget", header, rows, 2)


def budget_table(tables: Tables) -> TableView:
    """The fits: a, b, the slope beside -1, and the recommended number of responses."""
    rows = tuple(
        (
            budget.name,
            with_interval(budget.slope, places=2),
            with_bounds(budget.response_variance),
            with_bounds(budget.floor),
            budget.recommended_text(),
            "yes" if budget.extrapolated else "no",
        )
        for budget in read_budgets(tables)
    )
    header = ("curve", "slope (theory: −1)", "a", "floor b", "recommended k", "beyond the grid")
    return TableView("The fit of Var(k) = a/k + b and the slope of the response component", header, rows)


def floor_table(checks: Sequence[Mapping[str, Any]]) -> TableView:
    """The fitted floor beside the components that should make it up."""
    words = {True: "overlap", False: "do not overlap", None: "n/a"}
    rows = tuple(
        (
            str(check["curve"]),
            with_bounds(estimate_of(check["floor"])),
            with_bounds(estimate_of(check["initialisation_and_order"])),
            words[check["agrees_with_components"]],
            with_bounds(estimate_of(check["exact_arm"])),
            words[check["agrees_with_exact"]],
        )
        for check in checks
    )
    header = (
        "curve",
        "fitted floor b",
        "initialisation + order",
        "intervals",
        "variance of the exact arm",
        "intervals",
    )
    return TableView("The floor of the fit and the components that should make it up, validation split", header, rows)


def teachers_table(tables: Tables) -> TableView:
    """The teachers' metrics on every split."""
    metrics = table(tables, "teacher_metrics")
    if metrics.empty:
        return TableView("Teachers", ("teacher", "split"), ())
    names = list(dict.fromkeys(metrics["metric"].astype(str)))
    rows = []
    for (teacher, split), own in metrics.groupby(["teacher", "split"], sort=False):
        found = {str(row["metric"]): estimate_of(row) for row in own.to_dict("records")}
        values = (with_bounds(found[name]) if name in found else "n/a" for name in names)
        rows.append((str(teacher), str(split), *values))
    return TableView("Teachers", ("teacher", "split", *(METRIC_NAMES.get(n, n) for n in names)), tuple(rows), 2)


def quality_table(tables: Tables, split: str) -> TableView:
    """Every metric of every arm's students on a split."""
    arms = [arm for arm in read_arms(tables) if split in arm.metrics]
    names = [name for name in METRIC_NAMES if any(arm.metric(name, split).known for arm in arms)]
    rows = tuple(
        (
            arm.model,
            _teacher(arm.teacher, arm.is_control),
            arm.label(),
            *(with_bounds(arm.metric(n, split)) for n in names),
        )
        for arm in arms
    )
    header = ("students", "teacher", "target", *(METRIC_NAMES[name] for name in names))
    return TableView(f"Students by arm, {split} split", header, rows, 3)


def components_table(tables: Tables, split: str) -> TableView:
    """The variance of every arm by source."""
    names = ("total", "intra", "inter", "inter_unbiased", *SOURCES)
    arms = [arm for arm in read_arms(tables) if split in arm.components]
    rows = tuple(
        (
            arm.model,
            _teacher(arm.teacher, arm.is_control),
            arm.label(),
            *(with_bounds(arm.component(n, split)) for n in names),
        )
        for arm in arms
    )
    header = ("students", "teacher", "target", "total", "intra", "inter", "inter, unbiased", *SOURCES)
    return TableView(f"Variance components by arm, {split} split", header, rows, 3)


def report_tables(tables: Tables, split: str) -> list[TableView]:
    """The tables of the crossed design at the end of the report; empty ones are left out."""
    views = [
        teachers_table(tables),
        quality_table(tables, split),
        components_table(tables, split),
        budget_table(tables),
    ]
    return [view for view in views if view.rows]


def _teacher(name: str, is_control: bool) -> str:
    return "control" if is_control else name
