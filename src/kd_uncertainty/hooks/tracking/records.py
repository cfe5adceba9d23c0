"""What is logged of each table: a function of the persisted tables alone.

A stage that ran an hour ago, or on another machine, is therefore logged exactly as one that has just run.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pandas as pd

from kd_uncertainty.hooks.tracking.flatten import arm_name, metric_name, numeric_leaves
from kd_uncertainty.hooks.tracking.measures import MEASURES, measures
from kd_uncertainty.schemas import ARM_KEYS, LANGUAGE_ARM_KEYS, VALUE_ARM_KEYS

SPLIT = "test"
"""The split whose arm metrics become MLflow metrics; the others are in the tables."""
COMPONENTS = ("total", "intra", "inter", "response", "initialisation", "order")
"""The variance components that become MLflow metrics: more would bury the charts."""

COUNTS = ("num_inputs", "num_classes", "num_examples", "num_flipped", "num_prompts", "num_references")
"""Facts of the task that become metrics."""

RANDOM_TARGETS = ("label", "posterior", "noise")
"""Targets whose arms are a curve over the number of responses."""

Load = Callable[[str], Any]
"""Load a table of the study by its short name; None if the catalog has no such table or it does not exist yet."""


class Point(NamedTuple):
    """One value of one metric; ``step`` is an epoch or a number of responses, ``time`` seconds or None for now."""

    key: str
    value: float
    step: int = 0
    time: float | None = None


@dataclass
class Record:
    """What goes to a run: metrics, files by their path among the run's artefacts, tables for MLflow's own viewer."""

    metrics: list[Point] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)

    def __add__(self, other: Record) -> Record:
        """Both together."""
        return Record(self.metrics + other.metrics, self.files | other.files, self.tables | other.tables)


def record_outputs(outputs: list[str], load: Load) -> Record:
    """Collect what the tables with the given short names contribute; names that are not known contribute nothing."""
    record = Record()
    for name in outputs:
        if name in RECORDERS and (table := load(name)) is not None:
            record += RECORDERS[name](name, table, load)
    record.metrics = [point for point in record.metrics if math.isfinite(point.value)]
    return record


def _points(table: pd.DataFrame, key: Callable[[Mapping[str, Any]], str], value: str, step: str = "") -> list[Point]:
    rows: list[dict[str, Any]] = table.to_dict("records")  # type: ignore[assignment]
    known = [row for row in rows if pd.notna(row[value])]  # a number of responses may be NA: no number is enough
    return [Point(key(row), float(row[value]), int(row[step]) if step else 0) for row in known]


def _named(column: str, value: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: metric_name(row[column], value)


def _named_by_arm(group: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda row: metric_name(group, arm_name(row, num_responses=False))


def _csv(name: str, table: pd.DataFrame, _: Load) -> Record:
    return Record(files={f"tables/{name}.csv": table.to_csv(index=False)})


def _json(name: str, value: Any, _: Load) -> Record:
    return Record(files={f"{name}.json": json.dumps(value, indent=2, default=str)})


def _html(name: str, value: str, _: Load) -> Record:
    return Record(files={f"{name}.html": value})


def _task(name: str, task: Mapping[str, Any], load: Load) -> Record:
    counts = {key: task.get(key) for key in COUNTS}
    return Record([Point(*leaf) for leaf in numeric_leaves(counts).items()]) + _json(name, task, load)


def _arm_keys(plan: pd.DataFrame) -> list[str]:
    return [key for key in dict.fromkeys((*LANGUAGE_ARM_KEYS, *VALUE_ARM_KEYS, *ARM_KEYS)) if key in plan.columns]


def _teacher_curves(_: str, curves: pd.DataFrame, load: Load) -> Record:
    """Mean over the members of each teacher, one step an epoch."""
    values = [name for name in curves.columns if name == "train_loss" or name.startswith("validation_")]
    means = curves.groupby(["teacher", "epoch"], sort=True)[values].mean().reset_index()
    record = Record()
    for value in values:
        record.metrics += _points(means, _named("teacher", value), value, "epoch")
    return record


def _student_curves(_: str, curves: pd.DataFrame, load: Load) -> Record:
    """Mean over the students of each arm, one step an epoch."""
    plan = load("plan")
    if plan is None:
        return Record()
    arms = plan.assign(curve=[arm_name(row) for row in plan[_arm_keys(plan)].to_dict("records")])
    means = curves.merge(arms[["student", "curve"]], on="student").groupby(["curve", "epoch"])["train_loss"].mean()
    return Record(_points(means.reset_index(), lambda r: metric_name("train_loss", r["curve"]), "train_loss", "epoch"))


def _plan(name: str, plan: pd.DataFrame, load: Load) -> Record:
    counts = {"num_students": len(plan), "num_arms": len(plan[_arm_keys(plan)].drop_duplicates())}
    return Record([Point(key, value) for key, value in counts.items()]) + _csv(name, plan, load)


def _teacher_metrics(name: str, table: pd.DataFrame, load: Load) -> Record:
    points = _points(table, lambda row: metric_name(row["teacher"], f"{row['split']}_{row['metric']}"), "estimate")
    return Record(points) + _csv(name, table, load)


def _arm_metrics(name: str, table: pd.DataFrame, load: Load) -> Record:
    return Record(_by_responses(table, "metric", "students_{}")) + _csv(name, table, load)


def _variance_components(name: str, table: pd.DataFrame, load: Load) -> Record:
    shown = table[table["component"].isin(COMPONENTS)]
    return Record(_by_responses(shown, "component", "variance_{}")) + _csv(name, table, load)


def _by_responses(table: pd.DataFrame, what: str, group: str) -> list[Point]:
    """A curve over the number of responses for each arm and quantity, on the test split; a bar if it has one value."""
    rows: list[dict[str, Any]] = table[table["split"] == SPLIT].to_dict("records")  # type: ignore[assignment]
    return [
        Point(
            metric_name(group.format(row[what]), arm_name(row, num_responses=False)),
            float(row["estimate"]),
            int(row["num_responses"]) if row["target"] in RANDOM_TARGETS else 0,
        )
        for row in rows
    ]


def _response_budget(name: str, table: pd.DataFrame, load: Load) -> Record:
    record = _csv(name, table, load)
    for value in ("recommended_num_responses", "response_variance", "floor", "slope"):
        if value in table:
            record.metrics += _points(table, _named_by_arm(f"budget_{value}"), value)
    return record


def _sample_answers(name: str, table: pd.DataFrame, load: Load) -> Record:
    """What a reviewer reads: answers side by side, which MLflow shows as a table."""
    return Record(tables={f"{name}.json": table})


def _measures(name: str, table: pd.DataFrame, load: Load) -> Record:
    return Record([Point(*point) for point in measures(name, table)]) + _csv(name, table, load)


RECORDERS: dict[str, Callable[[str, Any, Load], Record]] = {
    "task": _task,
    "teacher_curves": _teacher_curves,
    "plan": _plan,
    "engine": _json,
    "student_curves": _student_curves,
    "teacher_metrics": _teacher_metrics,
    "reliability": _csv,
    "student_metrics": _csv,
    "arm_metrics": _arm_metrics,
    "variance_components": _variance_components,
    "response_budget": _response_budget,
    "schedule_gains": _csv,
    "advice": _csv,
    "teacher_recommendation": _json,
    **dict.fromkeys(MEASURES, _measures),
    **dict.fromkeys(("descent", "deviation_bins", "switching_teachers", "eigenspace_trajectories"), _csv),
    **dict.fromkeys(("denoising_alignment", "processes", "sharpness", "decomposition_audit"), _csv),
    **dict.fromkeys(("teacher_samples", "student_samples", "sample_answers"), _sample_answers),
    **dict.fromkeys(("answer_frequencies", "surrogate"), _csv),
    "summary": _json,
    "report": _html,
}
"""How each table is logged; a stage logs those that it writes."""
