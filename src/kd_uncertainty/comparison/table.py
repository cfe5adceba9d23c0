"""The comparison as a table: one row a cell, split and metric."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.comparison.measure import Comparison, Estimate, Lesson
from kd_uncertainty.comparison.plan import Cell
from kd_uncertainty.comparison.students import Outcome
from kd_uncertainty.schemas import NO_TEACHER
from kd_uncertainty.uncertainty.students import positive_mean, student_mean

_CELL = ("teacher", "kind", "num_draws", "fraction", "mixing", "temperature")
COLUMNS = (*_CELL, "split", "metric", "estimate", "lower", "upper", "num_students")
TEACHER_METRICS = ("accuracy", "nll", "ece")
_SHARES = ("accuracy", "ece")
_UNKNOWN = (math.nan, math.nan, math.nan)


def comparison_table(comparison: Comparison, num_students: int, confidence: float = 0.95) -> pd.DataFrame:
    """Return all that was measured.

    Args:
        comparison: from ``compare``.
        num_students: of a cell.
        confidence: of the intervals over students.

    Returns:
        teacher, kind, num_draws, fraction, mixing, temperature, split, metric, estimate, lower, upper, num_students.
        Of students, with Student's t interval over them: accuracy, nll, ece; on the logarithmic scale, bayes_error
        (squared error to the Bayes probabilities, where known) and, where students were watched, the noise_* metrics
        and gradient_variance. Of teachers, in the row of their
        first cell: teacher_accuracy, teacher_nll and teacher_ece with interval over examples, and teacher_error (split
        train), which is NaN where the Bayes probabilities are unknown, over students and examples. Students without a
        teacher are of teacher and kind "none".
    """
    rows = [*_outcome_rows(NO_TEACHER, comparison.control, num_students, confidence)]
    for lesson in comparison.lessons:
        rows += _outcome_rows(lesson.candidate.kind, lesson.outcomes, num_students, confidence)
        rows += _teacher_rows(lesson, num_students)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _outcome_rows(
    kind: str, outcomes: dict[Cell, Outcome], num_students: int, confidence: float
) -> Iterator[dict[str, Any]]:
    for cell, outcome in outcomes.items():
        for (split, metric), values in outcome.metrics.items():
            if metric in ("accuracy", "nll", "ece"):
                estimate: Estimate = student_mean(values, confidence)
            else:
                estimate = _UNKNOWN if np.isnan(values).any() else positive_mean(values, confidence)
            yield _row(cell, kind, (split, metric), _bounded(metric, estimate), num_students)


def _teacher_rows(lesson: Lesson, num_students: int) -> Iterator[dict[str, Any]]:
    base, kind = lesson.base, lesson.candidate.kind
    for (split, metric), estimate in lesson.quality.items():
        if metric in TEACHER_METRICS:
            yield _row(base, kind, (split, f"teacher_{metric}"), estimate, num_students)
    errors = lesson.error or {base.num_draws: _UNKNOWN}
    for num_draws, estimate in sorted(errors.items()):
        yield _row(base._replace(num_draws=num_draws), kind, ("train", "teacher_error"), estimate, num_students)


def _row(cell: Cell, kind: str, what: tuple[str, str], estimate: Estimate, num_students: int) -> dict[str, Any]:
    figures = dict(zip(("estimate", "lower", "upper"), map(float, estimate), strict=True))
    return {
        "teacher": cell.teacher,
        "kind": kind,
        "num_draws": cell.num_draws,
        "fraction": float(cell.fraction),
        "mixing": float(cell.mixing),
        "temperature": float(cell.temperature),
        "split": what[0],
        "metric": what[1],
        **figures,
        "num_students": num_students,
    }


def _bounded(metric: str, estimate: Estimate) -> Estimate:
    """An interval cut to the metric's range."""
    most = 1.0 if metric in _SHARES else math.inf
    value, lower, upper = estimate
    return value, max(lower, 0.0), min(upper, most)
