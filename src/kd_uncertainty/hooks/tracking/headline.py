"""The handful of numbers by which whole runs are compared: from the summary, onto the parent run."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from numbers import Real
from typing import Any

from kd_uncertainty.hooks.tracking.flatten import arm_name, metric_name, numeric_leaves
from kd_uncertainty.hooks.tracking.records import Load, Point, Record, record_outputs

MAX_FALLBACK = 50
_COMPONENTS = ("intra", "inter", "response", "initialisation", "order")


def headline(outputs: list[str], load: Load) -> Record:
    """What the parent run shows of a stage that wrote the summary or the report; nothing of any other stage."""
    record = record_outputs([name for name in outputs if name in ("summary", "report")], load)
    if "summary" in outputs and (summary := load("summary")) is not None:
        record.metrics = headline_metrics(summary)
    return record


def headline_metrics(summary: Mapping[str, Any]) -> list[Point]:
    """Pick the headline; a summary without any of the known figures gives its first 50 numbers instead."""
    points = [Point(key, value) for key, value in _known(summary) if value is not None]
    if not points:
        points = [Point(key, value) for key, value in list(numeric_leaves(summary).items())[:MAX_FALLBACK]]
    return points


def _known(summary: Mapping[str, Any]) -> Iterator[tuple[str, float | None]]:
    split = summary.get("split", "test")
    for teacher in summary.get("teachers") or ():
        name = teacher.get("teacher")
        for metric in ("accuracy", "nll", "ece"):
            yield metric_name(f"teacher_{metric}", name), _number(teacher, "metrics", split, metric)
        for metric in ("accuracy", "nll", "agreement"):
            yield metric_name(f"students_{metric}", name), _number(teacher, "best_arm", "metrics", split, metric)
        for component in _COMPONENTS:
            yield metric_name(f"variance_{component}", name), _number(teacher, "best_arm", "components", component)
    for metric in ("accuracy", "nll", "ece"):
        yield metric_name("chosen_students", metric), _number(summary, "choice", "metrics", split, metric)
        yield metric_name("best_student", metric), _number(summary, "best_student", "metrics", split, metric)
    for verdict, count in (summary.get("verdicts") or {}).items():
        yield metric_name("claims", verdict), float(count)
    for budget in summary.get("response_budget") or ():
        name = arm_name(budget, num_responses=False)
        yield metric_name("recommended_num_responses", name), _number(budget, "recommended_num_responses")


def _number(value: Any, *path: str) -> float | None:
    """The number at a path, or the ``estimate`` of an interval there; None if there is no finite one."""
    for key in path:
        value = value.get(key) if isinstance(value, Mapping) else None
    if isinstance(value, Mapping):
        value = value.get("estimate")
    return float(value) if isinstance(value, Real) and math.isfinite(value) else None
