"""What of a teacher tracks its students: rank correlations over teachers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy.stats import rankdata

from kd_uncertainty.comparison.data import Floats
from kd_uncertainty.comparison.measure import INTERVALS, Comparison, Intervals

MIN_TEACHERS = 4
"""With fewer, ranks say nothing."""
FIGURES = ("teacher_error", "teacher_ece", "teacher_nll")
"""What is held against the students: squared error to the Bayes probabilities at the training points, test ECE and
test NLL of the teacher."""

STUDENT_METRICS = ("nll", "accuracy", "bayes_error")
"""Of students on the test split."""


def rank_correlations(comparison: Comparison, intervals: Intervals = INTERVALS) -> list[dict[str, Any]]:
    """Return Spearman's correlation over teachers of students' test figures with figures of their teachers.

    Students are those of all data and draws, mixing 1 and temperature 1. Bounds are percentiles of a bootstrap that
    resamples teachers and, within them, students; with a dozen teachers they are wide.

    Args:
        comparison: from ``compare``.
        intervals: confidence and bootstrap.

    Returns:
        One entry a student metric (nll, accuracy, bayes_error) and teacher's figure: student_metric, teacher_figure,
        estimate, lower, upper, num_teachers; empty with fewer than four teachers. What is not known is left out.
    """
    lessons = comparison.lessons
    if len(lessons) < MIN_TEACHERS:
        return []
    known = {
        "teacher_error": [one.error.get(one.base.num_draws, (math.nan,))[0] for one in lessons],
        "teacher_ece": [one.quality["test", "ece"][0] for one in lessons],
        "teacher_nll": [one.quality["test", "nll"][0] for one in lessons],
    }
    found = []
    for metric in STUDENT_METRICS:
        if any(("test", metric) not in one.outcomes[one.base].metrics for one in lessons):
            continue
        students = np.stack([one.outcomes[one.base].metrics["test", metric] for one in lessons])
        for name in FIGURES:
            figures = np.array(known[name])
            if not np.isnan(figures).any():
                estimate, lower, upper = _correlation(figures, students, intervals)
                keys = {"student_metric": metric, "teacher_figure": name, "num_teachers": len(lessons)}
                found.append(keys | {"estimate": estimate, "lower": lower, "upper": upper})
    return found


def _correlation(figures: Floats, students: Floats, intervals: Intervals) -> tuple[float, float, float]:
    """Spearman's correlation of figures (teachers,) with means of students (teachers, students), and its bounds."""
    teachers, number = students.shape
    generator = np.random.default_rng([intervals.seed, teachers, number])
    drawn = generator.integers(teachers, size=(intervals.num_bootstrap, teachers))
    who = generator.integers(number, size=(intervals.num_bootstrap, teachers, number))
    means = students[drawn[..., None], who].mean(axis=-1)
    tail = (1.0 - intervals.confidence) / 2.0
    replicates = spearman(figures[drawn], means)
    replicates = replicates[~np.isnan(replicates)]
    estimate = float(spearman(figures[None], students.mean(axis=1)[None])[0])
    if not len(replicates):
        return estimate, math.nan, math.nan
    lower, upper = np.quantile(replicates, [tail, 1.0 - tail])
    # Resampled teachers are tied with themselves, which keeps replicates away from an estimate of 1 or -1.
    return estimate, min(float(lower), estimate), max(float(upper), estimate)


def spearman(first: Floats, second: Floats) -> Floats:
    """Return Spearman's rank correlation of each row, (rows,); NaN where one of the two is constant.

    Pearson's correlation of average ranks.

    Args:
        first: (rows, items).
        second: (rows, items).
    """
    ranks = [rankdata(values, axis=-1) for values in (first, second)]
    centred = [rank - rank.mean(axis=-1, keepdims=True) for rank in ranks]
    scale = np.sqrt(np.prod([np.sum(rank**2, axis=-1) for rank in centred], axis=0))
    products = np.sum(centred[0] * centred[1], axis=-1)
    return np.asarray(np.divide(products, scale, out=np.full(len(scale), np.nan), where=scale > 0.0))
