"""Data-driven student uncertainty: every student is trained on a bootstrap resample of its own.

Student s learns from m of the n training examples, drawn with replacement, labelled by the teacher or by the ground
truth (Cui & Pei, arXiv 2601.18909, section 5).

The closed form of the linear case: a linear teacher's labels lie on its plane exactly, so that every resample of full
rank gives back the teacher. Inter-student variance is 0 then, whatever m, to rounding; what is left in a table is due
to resamples that leave coefficients undetermined. On ground truth linear students have the bootstrap's variance.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat

from kd_uncertainty.population.counter import philox_words
from kd_uncertainty.population.linear.bootstrap import RESAMPLING, bootstrap_students
from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.population import train_students
from kd_uncertainty.population.linear.shared import fit_targets
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression._cells import Model, Seeds, seeds_of
from kd_uncertainty.regression._training import (
    NumStudents,
    TrainedOn,
    full_batch_fit,
    mean_squared_error,
    prediction_columns,
    progress_bar,
    train_teacher,
)
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.regression.networks import NetworkFit, StudentSeeds, train_networks
from kd_uncertainty.typed import Distinct, Options, Seed

ROUNDING = 1e-18
"""Inter-student variance below this share of the targets' variance is rounding and reported as 0."""


class BootstrapOptions(Options):
    """The students of the section: each of ``fractions``, for each model and each of ``targets``."""

    models: Distinct[Model] = ("linear", "network")
    targets: Distinct[TrainedOn] = ("teacher", "ground_truth")
    fractions: Distinct[PositiveFloat] = Field(
        (0.1, 0.25, 0.5, 0.75, 1.0), description="size of a resample, as a share of the training examples"
    )
    num_students: NumStudents = Field(50, description="of each cell")
    common_start: bool = Field(
        False, description="all networks start from the same parameters, so that resamples alone set them apart"
    )
    teacher: NetworkFit = Field(
        full_batch_fit([128], epochs=300, learning_rate=0.001),
        description="of the network students; the linear teacher is least squares",
    )
    student: NetworkFit = full_batch_fit([64], epochs=300, learning_rate=0.001)
    seed: Seed = 7


class _Cell(NamedTuple):
    """What one population is made from."""

    data: RegressionData
    options: BootstrapOptions
    labels: Floats
    size: int
    threads: int


def bootstrap_table(
    data: RegressionData,
    options: BootstrapOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return inter-student variance and test error by size of the resample, one row a cell.

    Student s draws the same examples for both models and both kinds of target, and smaller resamples are the first
    draws of larger ones: cells are compared on common random numbers. Networks also have an initialisation seed of
    their own each, the same in every cell (unless ``common_start``), so that their variance holds that of the start.

    Args:
        data: the task.
        options: of the section.
        confidence: of the intervals.
        threads: threads over students; no result depends on them.
        progress: whether to show a bar.

    Returns:
        model, targets, fraction, size, num_students; inter_variance and test_mse with bounds over students, in squared
        units of the target; teacher_mse. Bounds are conditional on the training examples and the teacher.

    Raises:
        UserError: if a network cannot be built or diverges.
    """
    rows: list[dict[str, Any]] = []
    cells = len(options.models) * len(options.targets) * len(options.fractions)
    with progress_bar("bootstrap", cells * options.num_students, progress) as advance:
        for model in options.models:
            answers, test_answers = teacher_answers(model, data, options, threads)
            labels = {"teacher": answers, "ground_truth": data.train_targets}
            teacher_mse = mean_squared_error(test_answers, data.test_targets)
            for target in options.targets:
                for fraction in options.fractions:
                    size = max(round(fraction * len(data.train_targets)), 1)
                    cell = _Cell(data, options, labels[target], size, threads)
                    predictions = _linear(cell) if model == "linear" else _networks(cell)
                    advance(options.num_students)
                    figures = prediction_columns(predictions, data.test_targets, confidence)
                    keys: dict[str, Any] = {"model": model, "targets": target, "fraction": fraction, "size": size}
                    keys |= {"num_students": options.num_students}
                    rows.append(keys | _without_rounding(figures, data) | {"teacher_mse": teacher_mse})
    return pd.DataFrame(rows)


def teacher_answers(
    model: Model, data: RegressionData, options: BootstrapOptions, threads: int
) -> tuple[Floats, Floats]:
    """Return a teacher's predictions for the training examples and the test points, (examples,) and (points,).

    Args:
        model: "linear" for least squares with an intercept, "network" for ``options.teacher``.
        data: the task; the teacher learns all training targets.
        options: of the section.
        threads: threads of the engine.
    """
    if model == "linear":
        parameters = fit_targets(make_design(data.train_inputs), data.train_targets[None])
        return predict(parameters, data.train_inputs)[0], predict(parameters, data.test_inputs)[0]
    teacher = train_teacher(data, options.teacher, derive_seed(options.seed, "teacher"), threads=threads)
    return teacher.predict(data.train_inputs)[0], teacher.predict(data.test_inputs)[0]


def bootstrap_rows(seeds: Seeds, num_examples: int, size: int) -> NDArray[np.int64]:
    """Return each student's draws with replacement, (students, size): what ``bootstrap_weights`` counts.

    Args:
        seeds: (students,), one a student.
        num_examples: examples to draw from, below 2^32.
        size: draws; fewer are the first of more.
    """
    words = philox_words(seeds, 0, RESAMPLING, size).astype(np.uint64)
    return ((words * np.uint64(num_examples)) >> np.uint64(32)).astype(np.int64)


def linear_predictions(data: RegressionData, labels: Floats, size: int, seeds: Seeds, threads: int = 1) -> Floats:
    """Return test predictions (students, points) of least-squares students with an intercept on their resamples.

    Args:
        data: the task.
        labels: (examples,) what they learn.
        size: of a resample.
        seeds: (students,), see :func:`bootstrap_rows`.
        threads: threads over students; no result depends on them.
    """
    train = bootstrap_students(make_design(data.train_inputs), labels, size)
    return predict(train_students(train, seeds, threads=threads), data.test_inputs)


def _linear(cell: _Cell) -> Floats:
    seeds = seeds_of(cell.options.seed, "resample", cell.options.num_students)
    return linear_predictions(cell.data, cell.labels, cell.size, seeds, cell.threads)


def _networks(cell: _Cell) -> Floats:
    options, students = cell.options, cell.options.num_students
    levels = [0] * students if options.common_start else list(range(students))
    seeds = StudentSeeds(
        tuple(derive_seed(options.seed, "initialisation", level) for level in levels),
        tuple(derive_seed(options.seed, "order", student) for student in range(students)),
        (0,) * students,
    )
    rows = bootstrap_rows(seeds_of(options.seed, "resample", students), len(cell.labels), cell.size)
    trained = train_networks(cell.data, cell.labels[None], options.student, seeds, rows=rows, threads=cell.threads)
    return trained.predict(cell.data.test_inputs)


def _without_rounding(figures: dict[str, float], data: RegressionData) -> dict[str, float]:
    if figures["inter_variance"] >= ROUNDING * data.target_variance:
        return figures
    return figures | dict.fromkeys(("inter_variance", "inter_variance_lower", "inter_variance_upper"), 0.0)
