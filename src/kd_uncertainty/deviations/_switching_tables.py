"""Figures of the loss-switching experiment as tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.calibration import metric_intervals
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._shares import gain_share, is_clear
from kd_uncertainty.deviations._switching_teachers import Teacher
from kd_uncertainty.deviations._switching_training import DISTILLATION
from kd_uncertainty.tasks.options import Split
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

Floats = NDArray[np.float64]
SPLITS: tuple[Split, ...] = get_args(Split)
IMPROVEMENT = {"accuracy": 1.0, "nll": -1.0}
"""Metrics, and the sign of an improvement."""

Figures = dict[tuple[Split, str], Floats]
"""(students,) values by split and metric."""


class Result(NamedTuple):
    """What became of the students of one schedule.

    Attributes:
        schedule: a name; "equal_progress" for one-hot students that were stopped early.
        switch: share of the optimiser steps before the switch, or before the stop on average; NaN without.
        figures: of the students.
    """

    schedule: str
    switch: float
    figures: Figures


def result_rows(teacher: str, results: Sequence[Result], confidence: float) -> list[dict[str, Any]]:
    """Return one row a schedule, split and metric, of one teacher.

    Args:
        teacher: its name.
        results: the first one being of the one-hot schedule; one is of distillation.
        confidence: of the intervals over students.
    """
    distilled = next(result for result in results if result.schedule == DISTILLATION)
    rows: list[dict[str, Any]] = []
    for result in results:
        for (split, metric), values in result.figures.items():
            sign, base = IMPROVEMENT[metric], results[0].figures[split, metric]
            gain, full_gain = sign * (values - base), sign * (distilled.figures[split, metric] - base)
            rows.append(
                {"teacher": teacher, "schedule": result.schedule, "switch": result.switch}
                | {"split": split, "metric": metric}
                | dict(zip(("estimate", "lower", "upper"), student_mean(values, confidence), strict=True))
                | _bounded("gain", student_mean(gain, confidence))
                | _bounded("recovered", gain_share(gain, full_gain, confidence))
                | {"recoverable": is_clear(full_gain, confidence), "num_students": len(values)}
            )
    return rows


def _bounded(name: str, interval: Interval) -> dict[str, float]:
    return dict(zip((name, f"{name}_lower", f"{name}_upper"), interval, strict=True))


def teacher_table(data: StudyExamples, teachers: Sequence[Teacher], confidence: float, seed: int) -> pd.DataFrame:
    """Return teacher, epochs, split, metric, estimate, lower, upper; intervals are over examples."""
    rows: list[dict[str, Any]] = []
    for teacher in teachers:
        for split in SPLITS:
            chosen = data.rows(split)
            logits, labels = teacher.logits.numpy()[chosen], data.labels.numpy()[chosen]
            found = metric_intervals(logits, labels, confidence=confidence, seed=seed)
            rows += [
                {"teacher": teacher.name, "epochs": teacher.epochs, "split": split} | interval._asdict()
                for interval in found
                if interval.metric in IMPROVEMENT
            ]
    return pd.DataFrame(rows)
