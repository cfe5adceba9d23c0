"""What a teacher is worth where students see few examples, against students of the labels of the same examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kd_uncertainty.comparison.data import Floats
from kd_uncertainty.comparison.measure import Comparison, Lesson
from kd_uncertainty.comparison.plan import Cell
from kd_uncertainty.comparison.students import Outcome
from kd_uncertainty.uncertainty.students import student_mean

_METRICS = ("accuracy", "nll")


def few_shot(comparison: Comparison, lesson: Lesson, confidence: float = 0.95) -> list[dict[str, Any]]:
    """Return the test figures of a teacher's students by share of the examples, at mixing and temperature 1.

    Args:
        comparison: from ``compare``.
        lesson: whose students.
        confidence: of the intervals, which are over students and paired.

    Returns:
        One entry a share, smallest first: fraction; accuracy and nll of the students; to_control, the differences to
        students of the labels of the same examples; and gain, how much larger (accuracy) or smaller (nll) these
        differences are than with all examples.
    """
    ours = _by_fraction(lesson.outcomes, lesson.base)
    labels = _by_fraction(comparison.control, next(iter(comparison.control)))
    shared = [fraction for fraction in sorted(ours) if fraction in labels]

    def gap(fraction: float, metric: str) -> Floats:
        return np.asarray(ours[fraction].metrics["test", metric] - labels[fraction].metrics["test", metric])

    return [
        {
            "fraction": fraction,
            **{metric: _json(ours[fraction].metrics["test", metric], confidence) for metric in _METRICS},
            "to_control": {metric: _json(gap(fraction, metric), confidence) for metric in _METRICS},
            "gain": {metric: _json(gap(fraction, metric) - gap(1.0, metric), confidence) for metric in _METRICS},
        }
        for fraction in shared
    ]


def _by_fraction(outcomes: Mapping[Cell, Outcome], base: Cell) -> dict[float, Outcome]:
    """Outcomes of the cells that differ from the base in the share of the examples alone."""
    return {cell.fraction: outcome for cell, outcome in outcomes.items() if cell._replace(fraction=1.0) == base}


def _json(values: Floats, confidence: float) -> dict[str, float]:
    return dict(zip(("estimate", "lower", "upper"), map(float, student_mean(values, confidence)), strict=True))
