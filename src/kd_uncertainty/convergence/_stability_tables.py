"""Figures of the network experiment as tables: means over students with intervals, ratios paired with one-hot."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.calibration import evaluate_students
from kd_uncertainty.convergence.arms import Arm
from kd_uncertainty.convergence.noise import step_std, tail_mean, tail_std
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import mean_ratio, positive_mean, student_mean

Floats = NDArray[np.float64]

FINAL_METRICS = ("accuracy", "nll", "ece")
"""Of the trained students on a split."""
_SYMMETRIC = (*FINAL_METRICS, "tail_accuracy", "tail_nll")
"""Figures whose means have Student's t intervals; the others, which are skewed, have intervals on the log scale."""


class Measured(NamedTuple):
    """What was measured of the students, the first arm being one_hot.

    Attributes:
        arms: of the population.
        num_seeds: students of an arm.
        curves: accuracy and nll along the way, (arms, seeds, evaluations) each.
        logits: of the trained students, (arms * seeds, examples, classes), by split.
        labels: (examples,), by split.
        gradient_variance: (arms, seeds).
        target_error: (arms, seeds), or None where Bayes probabilities are unknown.
    """

    arms: Sequence[Arm]
    num_seeds: int
    curves: dict[str, Floats]
    logits: dict[str, NDArray[Any]]
    labels: dict[str, NDArray[np.int64]]
    gradient_variance: Floats
    target_error: Floats | None


def curve_table(
    measured: Measured, steps: NDArray[np.int64], evaluations_of_a_pass: int, confidence: float
) -> pd.DataFrame:
    """Return arm, teacher, level, mixing, step, epoch, metric, estimate, lower, upper, num_seeds.

    Args:
        measured: the students.
        steps: (evaluations,) optimiser steps taken before each evaluation.
        evaluations_of_a_pass: evaluations in a pass over the data, in which epochs are counted.
        confidence: of the intervals over students.
    """
    rows: list[dict[str, Any]] = []
    for row, arm in enumerate(measured.arms):
        for metric, curves in measured.curves.items():
            for number, step in enumerate(steps):
                estimate, lower, upper = student_mean(curves[row, :, number], confidence)
                place = {"step": int(step), "epoch": (number + 1) / evaluations_of_a_pass, "metric": metric}
                bounds = {"estimate": estimate, "lower": lower, "upper": upper}
                rows.append(arm.keys | place | bounds | {"num_seeds": measured.num_seeds})
    return pd.DataFrame(rows)


def figure_table(measured: Measured, tail: float, confidence: float, bins: int) -> pd.DataFrame:
    """Return arm, teacher, level, mixing, split, metric, estimate, lower, upper, ratio and bounds, num_seeds.

    Metrics, by split: accuracy, nll and ece of the trained students (validation, test); tail_accuracy and tail_nll,
    means over the last evaluations; noise_accuracy_std, noise_accuracy_step, noise_nll_std and noise_nll_step
    (validation); gradient_variance and target_error (train). See :mod:`kd_uncertainty.convergence.noise`.

    Args:
        measured: the students.
        tail: share of the evaluations in which noise is measured.
        confidence: of the intervals over students.
        bins: of the calibration error.
    """
    rows: list[dict[str, Any]] = []
    figures = _figures(measured, tail, bins)
    for row, arm in enumerate(measured.arms):
        for (split, metric), values in figures.items():
            mean: Callable[[Floats, float], Interval] = student_mean if metric in _SYMMETRIC else positive_mean
            estimate, lower, upper = mean(values[row], confidence)
            ratio, ratio_lower, ratio_upper = mean_ratio(values[row], values[0], confidence)
            bounds = {"estimate": estimate, "lower": lower, "upper": upper}
            ratios = {"ratio": ratio, "ratio_lower": ratio_lower, "ratio_upper": ratio_upper}
            place: dict[str, Any] = {"split": split, "metric": metric}
            rows.append(arm.keys | place | bounds | ratios | {"num_seeds": measured.num_seeds})
    return pd.DataFrame(rows)


def _figures(measured: Measured, tail: float, bins: int) -> dict[tuple[str, str], Floats]:
    """Return (arms, seeds) values by split and metric."""
    shape = len(measured.arms), measured.num_seeds
    figures: dict[tuple[str, str], Floats] = {}
    for split, logits in measured.logits.items():
        found, _ = evaluate_students(logits, measured.labels[split], bins=bins)
        figures |= {(split, metric): found[metric].reshape(shape) for metric in FINAL_METRICS}
    for metric, curves in measured.curves.items():
        students = curves.reshape(-1, curves.shape[-1])
        figures["validation", f"tail_{metric}"] = tail_mean(students, tail).reshape(shape)
        for name, definition in (("std", tail_std), ("step", step_std)):
            figures["validation", f"noise_{metric}_{name}"] = definition(students, tail).reshape(shape)
    figures["train", "gradient_variance"] = measured.gradient_variance
    if measured.target_error is not None:
        figures["train", "target_error"] = measured.target_error
    return figures
