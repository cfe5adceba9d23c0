"""How far teachers are from the truth: their squared error to the Bayes probabilities beside the usual metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.calibration import metric_intervals
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.tasks.options import Split
from kd_uncertainty.uncertainty.students import student_mean

Floats = NDArray[np.float64]
TEACHER_METRICS = ("accuracy", "nll", "ece")


def squared_error(probabilities: Floats, bayes: Floats) -> Floats:
    """Return ``sum_k (q_k - P_k)^2`` of each example; (..., examples, classes) to (..., examples).

    Summed over classes, as the Brier score is: for one-hot labels it is ``1 - ||P||^2`` on average over labels, for
    Dirichlet(a P) that divided by 1 + a, and for additive noise K nu.
    """
    return np.asarray(np.square(probabilities - bayes).sum(axis=-1))


def teacher_error_table(
    data: StudyExamples,
    teachers: Mapping[str, Floats],
    *,
    confidence: float = 0.95,
    bins: int = 15,
    num_bootstrap: int = 200,
    seed: int = 0,
) -> pd.DataFrame:
    """Return teacher, split, metric, estimate, lower, upper; intervals are over examples.

    The mean over examples of :func:`squared_error`, left out where Bayes probabilities are unknown, with Student's t
    interval; accuracy, nll and ece with those of :func:`~kd_uncertainty.calibration.metric_intervals`. On the training
    split a teacher that has learnt its labels by heart looks better than it is, except in its squared error.

    Args:
        data: all examples.
        teachers: posterior-mean probabilities by name, (examples, classes) each, of all examples.
        confidence: of the intervals.
        bins: of the calibration error.
        num_bootstrap: replicates.
        seed: of the resampling.
    """
    rows: list[dict[str, Any]] = []
    for teacher, probabilities in teachers.items():
        for split in get_args(Split):
            chosen = data.rows(split)
            found: dict[str, Sequence[float]] = {}
            if data.bayes is not None:
                found["squared_error_to_bayes"] = student_mean(
                    squared_error(probabilities[chosen], data.bayes[chosen]), confidence
                )
            with np.errstate(divide="ignore"):
                logs = np.log(probabilities[chosen])
            labels = data.labels.numpy()[chosen]
            for metric, *bounds in metric_intervals(
                logs, labels, bins=bins, confidence=confidence, num_bootstrap=num_bootstrap, seed=seed
            ):
                if metric in TEACHER_METRICS:
                    found[metric] = bounds
            rows += [
                {"teacher": teacher, "split": split, "metric": metric}
                | dict(zip(("estimate", "lower", "upper"), map(float, bounds), strict=True))
                for metric, bounds in found.items()
            ]
    return pd.DataFrame(rows, columns=["teacher", "split", "metric", "estimate", "lower", "upper"])
