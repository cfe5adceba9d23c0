r"""How confident students are compared with their teachers, and with networks that had none.

Teachers are trained on the data's labels: one until it fits them, label noise included ("interpolating"), and one that
is stopped before ("early_stopped"). Students of the teacher's own network and of others are distilled from each at a
temperature; the control of each kind of student is the same network, with the same start and batches, trained as long
on the labels alone. Every seed has a teacher, a student and a control of its own, and differences are paired over
seeds, so that intervals are over all three. The data and their label noise are one draw, which no interval covers.

A control is trained as long as the students. Beside an early-stopped teacher it has therefore gone on where the teacher
stopped, and is surer than the teacher for that reason alone; there, a second control is stopped when the teacher is
(groups "stopped_control" and "stopped_difference").
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.calibration import accuracy
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._confidence_options import ConfidenceOptions
from kd_uncertainty.deviations._confidence_training import TEACHERS, Logits, running
from kd_uncertainty.deviations.gains import gain_table
from kd_uncertainty.deviations.study import Confidence, study_deviations
from kd_uncertainty.deviations.summaries import Independent
from kd_uncertainty.deviations.tables import Compared, deviation_bins, deviation_table
from kd_uncertainty.tasks.options import Split

__all__ = [
    "Confidence",
    "ConfidenceOptions",
    "confidence_experiment",
    "deviation_bins",
    "deviation_table",
    "gain_table",
    "study_deviations",
]

logger = logging.getLogger(__name__)

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
INTERPOLATES = 0.99
"""Share of its training labels that a teacher must fit to be called interpolating."""


def confidence_experiment(
    data: StudyExamples,
    options: ConfidenceOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> Confidence:
    """Train teachers, students and controls, and return how they compare.

    The arm's keys are teacher ("interpolating" or "early_stopped"), student (a name in the options) and temperature.

    Args:
        data: the task, all splits; labels of the training split with their noise.
        options: of the experiment.
        confidence: of the intervals, over seeds; of correlations with the gain: over arms.
        threads: threads over networks; no result depends on them.
        progress: whether to show a bar.

    Raises:
        UserError: if a network's training diverges, or a split has too few examples.
    """
    deviations, bins = [], []
    for keys, arm in _arms(data, options, threads, progress):
        for split in SPLITS:
            tables = _tables(data, arm, keys, split, options.num_bins, Independent(confidence, paired=True))
            deviations.append(tables[0])
            bins.append(tables[1])
    table = pd.concat(deviations, ignore_index=True)
    gains = gain_table(table, confidence=confidence, num_bootstrap=options.num_bootstrap, seed=options.seed)
    return Confidence(table, pd.concat(bins, ignore_index=True), gains)


class _Arm(NamedTuple):
    """Logits of one arm, (seeds, examples, classes) each; controls by the prefix of their groups."""

    teacher: Logits
    students: Logits
    controls: Mapping[str, Logits]


def _arms(
    data: StudyExamples, options: ConfidenceOptions, threads: int, progress: bool
) -> Iterator[tuple[dict[str, Any], _Arm]]:
    """Yield each arm's keys and logits."""
    with running(data, options, threads, progress) as runs:
        teachers = runs.teachers()
        _warn_unless_interpolating(data, teachers)
        for name, network in options.students.items():
            taught = runs.students(network, teachers)
            for lesson, logits in taught.students.items():
                keys = {"teacher": lesson.teacher, "student": name, "temperature": lesson.temperature}
                stopped = {"stopped_": taught.stopped_control} if lesson.teacher != TEACHERS[0] else {}
                yield keys, _Arm(teachers[lesson.teacher], logits, {"": taught.control} | stopped)


def _tables(
    data: StudyExamples, arm: _Arm, keys: Mapping[str, Any], split: Split, num_bins: int, summary: Independent
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the deviations and bins of one arm on one split, each group once."""
    rows = data.rows(split)
    labels = data.labels[rows].numpy().astype(np.int64)
    deviations, bins = [], []
    for prefix, control in arm.controls.items():
        compared = Compared(arm.teacher[:, rows], arm.students[:, rows], control[:, rows], labels)
        table = deviation_table(compared, keys=keys, split=split, summary=summary)
        binned = deviation_bins(compared, keys=keys, split=split, num_bins=num_bins)
        if prefix:
            table, binned = (_of_controls(frame, prefix) for frame in (table, binned))
        deviations.append(table)
        bins.append(binned)
    return pd.concat(deviations, ignore_index=True), pd.concat(bins, ignore_index=True)


def _of_controls(table: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """The rows that depend on the control, their groups named by the prefix."""
    rows = table[table["group"].isin(("control", "difference"))]
    return rows.assign(group=prefix + rows["group"])


def _warn_unless_interpolating(data: StudyExamples, teachers: Mapping[str, Logits]) -> None:
    rows = data.rows("train")
    fitted = float(accuracy(teachers[TEACHERS[0]][:, rows], data.labels[rows].numpy()).mean())
    if fitted < INTERPOLATES:
        logger.warning(
            "confidence: the interpolating teacher fits %.1f %% of its training labels only; raise training.epochs or "
            "give it a larger network",
            100.0 * fitted,
        )
