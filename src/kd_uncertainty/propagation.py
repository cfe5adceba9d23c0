"""Teachers and students as tables of figures: metrics, reliability, and the best student."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty import calibration
from kd_uncertainty.soft_labels import SoftLabels
from kd_uncertainty.uncertainty.predictions import ArmLogits

RELIABILITY_KEYS = ["role", "teacher", "target", "num_responses", "mixing", "temperature", "split"]


def _targets(examples: pd.DataFrame) -> pd.Series[Any]:
    return examples.set_index("example_id")["target"]


def teacher_tables(
    soft_labels: SoftLabels, examples: pd.DataFrame, *, bins: int, confidence: float, num_bootstrap: int, seed: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics with intervals over examples, and reliability bins, of every teacher's posterior predictive.

    Args:
        soft_labels: posterior logits of all examples.
        examples: the examples table; the order of ``soft_labels`` is by ``example_id``.
        bins: confidence bins of calibration.
        confidence: of the intervals.
        num_bootstrap: replicates over examples.
        seed: of the bootstrap.

    Returns:
        ``teacher_metrics`` (teacher, split, metric, estimate, lower, upper) and rows of ``reliability``.
    """
    rows = examples.set_index("example_id").loc[soft_labels.example_ids]
    metrics, diagrams = [], []
    for teacher in soft_labels.teachers:
        # A mixture of softmaxes can underflow to 0 in a class; its log is -inf, which the metrics take.
        with np.errstate(divide="ignore"):
            logits = np.log(soft_labels.mean_probabilities(teacher))
        for split, group in rows.groupby("split", sort=False):
            chosen = (rows["split"] == split).to_numpy()
            targets = group["target"].to_numpy()
            intervals = calibration.metric_intervals(
                logits[chosen], targets, bins=bins, confidence=confidence, num_bootstrap=num_bootstrap, seed=seed
            )
            metrics += [{"teacher": teacher, "split": split, **interval._asdict()} for interval in intervals]
            keys = {"role": "teacher", "teacher": teacher, "target": "", "num_responses": 0}
            keys |= {"mixing": np.nan, "temperature": np.nan, "split": split}
            diagrams.append(_bins(keys, logits[chosen], targets, bins))
    return pd.DataFrame(metrics), pd.concat(diagrams, ignore_index=True)


def student_tables(
    arms: Iterable[ArmLogits], soft_labels: SoftLabels, examples: pd.DataFrame, *, bins: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every student on every split, and reliability bins pooled over the students of each arm.

    Returns:
        ``student_metrics`` (student, arm, the arm's keys, split, and one column a metric) and rows of ``reliability``.
    """
    targets = _targets(examples)
    metrics, diagrams = [], []
    for arm in arms:
        teacher = arm.keys["teacher"]
        known = teacher in soft_labels.logits
        probabilities = soft_labels.mean_probabilities(teacher) if known else None
        for split, (example_ids, logits) in arm.splits.items():
            truth = targets.loc[list(example_ids)].to_numpy()
            index = np.searchsorted(soft_labels.example_ids, example_ids)
            theirs = None if probabilities is None else probabilities[index]
            figures = calibration.student_metrics(logits, truth, theirs, bins)
            keys = {name: [value] * len(arm.plan) for name, value in arm.keys.items()}
            metrics.append(pd.DataFrame({"student": arm.plan["student"].to_numpy(), **keys, "split": split, **figures}))
            named = {key: arm.keys[key] for key in RELIABILITY_KEYS[1:-1]}
            diagrams.append(_bins({"role": "students", **named, "split": split}, logits, truth, bins))
    return pd.concat(metrics, ignore_index=True), pd.concat(diagrams, ignore_index=True)


def _bins(keys: Mapping[str, Any], logits: NDArray[Any], targets: NDArray[np.int64], bins: int) -> pd.DataFrame:
    found = calibration.reliability_bins(logits, targets, bins)
    return pd.DataFrame({**{name: [value] * bins for name, value in keys.items()}, **vars(found)})


def best_student(student_metrics: pd.DataFrame) -> pd.Series[Any]:
    """The row of the student with the lowest validation NLL; the test split has no say."""
    validation = student_metrics[student_metrics["split"] == "validation"]
    return validation.sort_values(["nll", "student"]).iloc[0]
