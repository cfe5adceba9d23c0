"""Tables of the report as rows of finished strings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.arms import Arm, Tables, best, read_arms, table
from kd_uncertainty.report.budget import Budget, read_budgets
from kd_uncertainty.report.comparison import Estimate, difference, estimate_of, verdict
from kd_uncertainty.report.wording import (
    METRIC_NAMES,
    NOT_MEASURED,
    SOURCES,
    decimals,
    metric_with_interval,
    number,
    teacher_order,
    with_interval,
)


@dataclass(frozen=True)
class TableView:
    """A table for the page: caption, headers, rows of strings; the first ``num_names`` columns are names."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    num_names: int = 1


def rivals_table(tables: Tables, split: str, count: int = 6) -> TableView:
    """The chosen arm, then those with the lowest validation NLL, and their difference to it."""
    arms = read_arms(tables)
    choice = best(arms)
    ranked = sorted(
        (arm for arm in arms if arm.metric("nll", "validation").measured),
        key=lambda arm: (choice is None or arm.arm != choice.arm, arm.metric("nll", "validation").estimate),
    )
    # One number of decimals for the column, so that it can be read downwards.
    places = max((decimals(arm.metric("nll", "validation")) for arm in ranked[:count]), default=3)
    rows = []
    for arm in ranked[:count] if choice else []:
        nll = arm.metric("nll", "validation")
        gap = difference(nll, choice.metric("nll", "validation")) if choice else nll
        chosen = choice is not None and arm.arm == choice.arm
        word = "chosen" if chosen else "not told apart" if verdict(gap).startswith("no") else "measurably worse"
        rows.append(
            (
                _teacher_name(arm),
                arm.label(),
                with_interval(nll, places=places),
                "" if chosen else with_interval(gap, places=places),
                word,
                metric_with_interval("accuracy", arm.metric("accuracy", split)),
            )
        )
    header = ("teacher", "target", "validation NLL", "difference to the choice", "verdict", f"{split} accuracy")
    return TableView("The choice, and the arms with the lowest validation NLL", header, tuple(rows), 2)


def theory_table(budgets: Sequence[Budget]) -> TableView:
    """The fits: a, b, the slope beside -1, and the recommended number of responses."""
    rows = tuple(
        (
            budget.name,
            with_interval(budget.slope, places=2),
            with_interval(budget.response_variance),
            with_interval(budget.floor),
            budget.recommended_text(),
            "yes" if budget.extrapolated else "no",
        )
        for budget in budgets
    )
    header = ("teacher, target", "slope (theory: −1)", "a", "floor b", "recommended k", "beyond the grid")
    return TableView("The fit of Var(k) = a/k + b and the slope of the response component", header, rows)


def teachers_table(tables: Tables) -> TableView:
    """The teachers' metrics on every split."""
    metrics = table(tables, "teacher_metrics")
    rows = []
    if len(metrics):
        names = list(dict.fromkeys(metrics["metric"].astype(str)))
        for teacher in teacher_order(metrics["teacher"].astype(str)):
            for split in dict.fromkeys(metrics["split"].astype(str)):
                own = metrics[(metrics["teacher"] == teacher) & (metrics["split"] == split)].set_index("metric")
                values = (estimate_of(own.loc[name].to_dict()) if name in own.index else None for name in names)
                shown = (
                    NOT_MEASURED if v is None else metric_with_interval(n, v)
                    for n, v in zip(names, values, strict=True)
                )
                rows.append((teacher, split, *shown))
        return TableView("Teachers", ("teacher", "split", *(METRIC_NAMES.get(n, n) for n in names)), tuple(rows), 2)
    return TableView("Teachers", ("teacher", "split"), ())


def quality_table(tables: Tables, split: str) -> TableView:
    """Every metric of every arm's students on a split."""
    arms = read_arms(tables)
    rows = tuple(
        (
            _teacher_name(arm),
            arm.label(),
            *(metric_with_interval(name, arm.metric(name, split)) for name in METRIC_NAMES),
        )
        for arm in arms
    )
    return TableView(f"Students by arm, {split} split", ("teacher", "target", *METRIC_NAMES.values()), rows, 2)


def components_table(tables: Tables, split: str) -> TableView:
    """The variance of every arm by source."""
    names = ("total", "intra", "inter", "inter_unbiased", *SOURCES)
    header = ("teacher", "target", "total", "intra", "inter", "inter, unbiased", *SOURCES)
    return TableView(f"Variance components by arm, {split} split", header, _components(tables, names, split), 2)


def entropy_table(tables: Tables, split: str) -> TableView:
    """The uncertainty of every arm in entropy form."""
    names = ("total_entropy", "intra_entropy", "inter_entropy")
    header = ("teacher", "target", "total", "intra", "inter (mutual information)")
    return TableView(f"Entropy form by arm, nats, {split} split", header, _components(tables, names, split), 2)


def _components(tables: Tables, names: Sequence[str], split: str) -> tuple[tuple[str, ...], ...]:
    arms = [arm for arm in read_arms(tables) if split in arm.components]
    return tuple(
        (_teacher_name(arm), arm.label(), *(_shown(arm.component(name, split)) for name in names)) for arm in arms
    )


def report_tables(tables: Tables, split: str) -> list[TableView]:
    """The tables at the end of the report; empty ones are left out."""
    views = [teachers_table(tables), quality_table(tables, split), components_table(tables, split)]
    views += [entropy_table(tables, split), theory_table(read_budgets(tables))]
    return [view for view in views if view.rows]


def flattened(parameters: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested parameters as dotted names and texts, lists and scalars as they are."""
    rows: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if isinstance(value, Mapping) and value:
            rows += flattened(value, f"{prefix}{name}.")
        else:
            rows.append((f"{prefix}{name}", str(value)))
    return rows


def seconds_text(seconds: float) -> str:
    """A duration: ``0.4 s``, ``1 min 12 s``."""
    return f"{number(seconds, 1)} s" if seconds < 60 else f"{int(seconds // 60)} min {int(seconds % 60)} s"


def _teacher_name(arm: Arm) -> str:
    return "control" if arm.is_control else arm.teacher


def _shown(estimate: Estimate) -> str:
    return with_interval(estimate)
