"""Teachers and students as tables of figures: metrics, reliability, and the best student."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty import calibration
from kd_uncertainty.soft_labels import SoftLabels
from kd_uncertainty.threads import in_order
from kd_uncertainty.uncertainty.predictions import ArmLogits

RELIABILITY_KEYS = ["role", "teacher", "target", "num_responses", "mixing", "temperature", "schedule", "split"]


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
            keys |= {"mixing": np.nan, "temperature": np.nan, "schedule": "", "split": split}
            diagrams.append(_Rows(keys, vars(calibration.reliability_bins(logits[chosen], targets, bins))))
    return pd.DataFrame(metrics), _table(diagrams)


def student_tables(
    arms: Iterable[ArmLogits], soft_labels: SoftLabels, examples: pd.DataFrame, *, bins: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Metrics of every student on every split, and reliability bins pooled over the students of each arm.

    Returns:
        ``student_metrics`` (student, arm, the arm's keys, split, and one column a metric) and rows of ``reliability``.
    """
    targets = _targets(examples)
    probabilities = {teacher: soft_labels.mean_probabilities(teacher) for teacher in soft_labels.teachers}

    def evaluate(arm: ArmLogits) -> list[tuple[_Rows, _Rows]]:
        theirs = probabilities.get(arm.keys["teacher"])
        students = arm.plan["student"].to_numpy()
        parts = []
        for split, (example_ids, logits) in arm.splits.items():
            truth = targets.loc[list(example_ids)].to_numpy()
            teacher = None if theirs is None else theirs[np.searchsorted(soft_labels.example_ids, example_ids)]
            figures, diagram = calibration.evaluate_students(logits, truth, teacher, bins)
            metrics = _Rows({**arm.keys, "split": split}, {"student": students, **figures})
            named = {key: arm.keys[key] for key in RELIABILITY_KEYS[1:-1]}
            parts.append((metrics, _Rows({"role": "students", **named, "split": split}, vars(diagram))))
        return parts

    metrics, diagrams = zip(*chain.from_iterable(in_order(evaluate, arms)), strict=True)
    table = _table(metrics)
    table.insert(0, "student", table.pop("student"))
    return table, _table(diagrams)


class _Rows(NamedTuple):
    """Rows of a table: the columns whose value they share, then those in which they differ."""

    keys: Mapping[str, Any]
    figures: Mapping[str, NDArray[Any]]


def _table(parts: Sequence[_Rows]) -> pd.DataFrame:
    """One table of all rows, made at once: a data frame for each part would take longer than its figures."""
    lengths = [len(next(iter(part.figures.values()))) for part in parts]
    keys = pd.DataFrame([part.keys for part in parts]).loc[np.repeat(np.arange(len(parts)), lengths)]
    figures = {name: np.concatenate([part.figures[name] for part in parts]) for name in parts[0].figures}
    return keys.reset_index(drop=True).assign(**figures)


def best_student(student_metrics: pd.DataFrame) -> pd.Series[Any]:
    """The row of the student with the lowest validation NLL; the test split has no say."""
    validation = student_metrics[student_metrics["split"] == "validation"]
    return validation.sort_values(["nll", "student"]).iloc[0]
