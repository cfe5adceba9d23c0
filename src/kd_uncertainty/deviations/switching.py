r"""Students whose loss switches on the way: when in training does distillation help?

The loss is the cross-entropy of one-hot labels or that of a teacher, and switches from one to the other after a share
of the optimiser steps, in both directions (Nagarajan et al., arXiv 2301.12923). The optimiser's state goes on. If
one-hot students that switch to distillation part-way gain nearly as much as those distilled from the start, the gain
is made late in training. What distillation first and one-hot labels after keep of it may depend on whether the teacher
interpolates its training labels: there are two teachers, one network's training stopped where it fits all of its
labels, and where it generalised best before.

On labels without noise there may be no gain, and then no share of it that could be recovered: such rows are not
``recoverable``, and their shares NaN.

Beside the schedules stands a control of equal progress: one-hot students, each stopped where its training loss on the
labels is nearest to that of its distilled sibling at the end. Their gain is one of stopping early. No test data choose
where.

Student s starts from the same parameters and sees the same batches under every schedule and teacher, so that gains
over one-hot labels are paired. The teachers and the data are one draw each, which no interval over students covers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.calibration import evaluate_students
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.deviations._switching_options import StudentFit, SwitchingOptions, TeacherFit
from kd_uncertainty.deviations._switching_tables import IMPROVEMENT, SPLITS, Figures, Result, result_rows, teacher_table
from kd_uncertainty.deviations._switching_teachers import train_teachers
from kd_uncertainty.deviations._switching_training import (
    DISTILLATION,
    Arm,
    equal_progress_epochs,
    make_arms,
    make_cohort,
    one_hot_cohort,
    stopped_students,
    train_students,
)
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.targets import exact_probabilities
from kd_uncertainty.population.training import predict

__all__ = ["EQUAL_PROGRESS", "StudentFit", "Switching", "SwitchingOptions", "TeacherFit", "switching"]

EQUAL_PROGRESS = "equal_progress"
"""The schedule of the control in the table."""


class Switching(NamedTuple):
    """Tables of the experiment.

    Attributes:
        table: teacher; schedule ("one_hot", "distillation", "to_distillation", "to_one_hot", "equal_progress"); switch,
            the share of the optimiser steps before the switch, or, of equal_progress, before the stop on average (NaN
            for constant schedules); split, of which "train" has the labels that students learn from; metric (accuracy,
            nll); estimate, lower, upper; gain over one_hot, positive for an improvement, with bounds; recovered, that
            as a share of the gain of distillation, with bounds, NaN unless recoverable; recoverable, whether
            distillation's gain is clear of 0; num_students. The one_hot students are the same for both teachers.
        teachers: teacher, epochs, split, metric, estimate, lower, upper; intervals are over examples.
    """

    table: pd.DataFrame
    teachers: pd.DataFrame


def switching(
    data: StudyExamples,
    options: SwitchingOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> Switching:
    """Train both teachers and all students, and return what switching made of them.

    Args:
        data: the task, all splits.
        options: of the section.
        confidence: of the intervals over students (of teachers: over examples).
        threads: threads over students; no result depends on them.
        progress: whether to show a bar.

    Raises:
        UserError: if the teacher does not interpolate, a network cannot be built, or training diverges.
    """
    teachers = train_teachers(data, options.teacher, options.seed, threads=threads)
    student = options.student.network
    build = network_builder(student.class_path, student.arguments, data.inputs.shape[1], data.num_classes)
    logits = torch.stack([teacher.logits for teacher in teachers])
    arms, figures = _train_arms(build, data, logits, options, threads=threads, progress=progress)
    stops = _stops(build, data, arms, figures, options, threads)
    rows = []
    for number, teacher in enumerate(teachers):
        results = [
            Result(arm.schedule, arm.switch, found)
            for arm, found in zip(arms, figures, strict=True)
            if arm.teacher in (None, number)
        ]
        state = stopped_students(build, data.part("train"), options, stops[number], threads=threads)
        share = float(stops[number].mean()) / options.student.training.epochs
        results.append(Result(EQUAL_PROGRESS, share, _evaluate(build, data, state)))
        rows += result_rows(teacher.name, results, confidence)
    return Switching(pd.DataFrame(rows), teacher_table(data, teachers, confidence, options.seed))


def _train_arms(
    build: Build, data: StudyExamples, teachers: Tensor, options: SwitchingOptions, *, threads: int, progress: bool
) -> tuple[list[Arm], list[Figures]]:
    """Train the population and return its arms, with the figures of each.

    Args:
        build: builds one student.
        data: the task.
        teachers: (teachers, examples, classes) logits of all examples.
        options: of the section.
        threads: threads over students.
        progress: whether to show a bar.
    """
    arms = make_arms(len(teachers), options.fractions)
    answers = teachers[:, torch.from_numpy(data.rows("train"))].double().numpy()
    targets = np.stack([exact_probabilities(logits[:, None], options.temperature) for logits in answers])
    cohort = make_cohort(arms, torch.from_numpy(targets).to(torch.float32), range(options.num_seeds), options)
    trained = train_students(build, data.part("train"), cohort, options.student, threads=threads, progress=progress)
    found = _evaluate(build, data, trained.parameters)
    count = options.num_seeds
    return arms, [
        {place: values[row * count : (row + 1) * count] for place, values in found.items()} for row in range(len(arms))
    ]


def _evaluate(build: Build, data: StudyExamples, state: State) -> Figures:
    """Return the metrics of all students on all splits."""
    figures: Figures = {}
    for split in SPLITS:
        part = data.part(split)
        found, _ = evaluate_students(predict(build, state, part.inputs).numpy(), part.labels.numpy())
        figures |= {(split, metric): found[metric] for metric in IMPROVEMENT}
    return figures


def _stops(
    build: Build,
    data: StudyExamples,
    arms: list[Arm],
    figures: list[Figures],
    options: SwitchingOptions,
    threads: int,
) -> list[NDArray[np.int64]]:
    """Return the epochs after which one-hot students have come as far as those of each teacher, (students,) each."""
    part = data.part("train")
    cohort = one_hot_cohort(part, range(options.num_seeds), options)
    watched = train_students(build, part, cohort, options.student, watched=True, threads=threads)
    curves = watched.validation["validation_nll"].double().numpy()
    return [
        equal_progress_epochs(curves, found["train", "nll"])
        for arm, found in zip(arms, figures, strict=True)
        if arm.schedule == DISTILLATION
    ]
