"""Teacher output: how the noise of a teacher's responses becomes variance between students, and test error.

Cui & Pei, arXiv 2601.18909, section 4. A response is the teacher's mean plus normal noise of variance ``s Var(y)``;
every student learns from responses of its own. For linear students (least squares on the same inputs X)

    inter-student variance at x = sigma^2 x'(X'X)^-1 x / k,   E[test MSE] = teacher's test MSE + that variance,

over k averaged responses. Networks start from initialisations of their own and keep a variance where the noise is 0.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, NonNegativeFloat, PositiveInt
from tqdm import tqdm

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.population import train_students
from kd_uncertainty.population.linear.shared import noisy_students, prediction_variance
from kd_uncertainty.regression._cells import (
    Learner,
    Model,
    NoiseSums,
    NumStudents,
    columns,
    make_learner,
    seeds_of,
)
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.regression.networks import NetworkFit
from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty.students import inter_student_variance, positive_mean, squared_errors


class TeacherOutputOptions(Options):
    """Which students are distilled from responses of which noise."""

    models: Distinct[Model] = Field(("linear", "network"), description="kinds of teacher and student")
    noise: Distinct[NonNegativeFloat] = Field(
        (0.0, 0.25, 0.5, 1.0, 2.0), description="variance of a response, in Var(y_train) (ddof 0)"
    )
    num_responses: PositiveInt = Field(1, description="responses to each example that a student averages")
    num_students: NumStudents = Field(200, description="students of a cell")
    network: NetworkFit = Field(NetworkFit(), description="of teacher and students where they are networks")
    seed: Seed = Field(5, description="of responses and initialisations, which are the same in every cell")


def teacher_output_table(
    data: RegressionData,
    options: TeacherOutputOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return variance between students and test error for each kind of student and each noise.

    Students of equal number have the same standardised noise and the same initialisation in every row, so rows are
    compared on common random numbers.

    Args:
        data: the task.
        options: the grid.
        confidence: of the intervals, which are over students, conditional on the data and the teacher.
        threads: threads over students; no result depends on them.
        progress: whether to show a progress bar.

    Returns:
        One row a cell: model, noise (s), noise_variance (s Var(y_train), squared units), num_students, inter_variance
        (mean over test points), closed_form_variance and closed_form_mse (linear students; else NaN), test_mse,
        teacher_mse; ``x_lower`` and ``x_upper`` beside every estimate x.

    Raises:
        UserError: if the training of a network diverges.
    """
    rows = []
    total = len(options.models) * len(options.noise) * options.num_students
    with tqdm(total=total, desc="teacher output", unit="student", disable=not progress) as bar:
        for model in options.models:
            learner = make_learner(model, data, options.network, options.seed, threads, bar.update)
            cells = _linear_cells if model == "linear" else _network_cells
            for noise, predictions, exact in cells(data, options, learner, threads):
                rows.append(_row(data, learner, noise, predictions, exact, confidence))
                if model == "linear":
                    bar.update(options.num_students)
    return pd.DataFrame(rows)


Cell = tuple[float, Floats, float]
"""A noise multiplier, predictions (students, points) at the test points, and their exact variance or NaN."""


def _linear_cells(
    data: RegressionData, options: TeacherOutputOptions, learner: Learner, threads: int
) -> Iterator[Cell]:
    design = make_design(data.train_inputs)
    seeds = seeds_of(options.seed, "response", options.num_students)
    for noise in options.noise:
        std = math.sqrt(noise * data.target_variance)
        train = noisy_students(design, learner.means, std, num_responses=options.num_responses)
        parameters = train_students(train, seeds, threads=threads)
        exact = prediction_variance(design, data.test_inputs, std, options.num_responses)
        yield noise, predict(parameters, data.test_inputs), float(exact.mean())


def _network_cells(
    data: RegressionData, options: TeacherOutputOptions, learner: Learner, threads: int
) -> Iterator[Cell]:
    seeds = seeds_of(options.seed, "response", options.num_students)
    noises = NoiseSums(seeds, len(data.train_targets))
    noises.extend(options.num_responses)
    for noise in options.noise:
        std = math.sqrt(noise * data.target_variance)
        targets = noises.responses(learner.means, std).mean
        yield noise, learner.learn(targets, "student").test, math.nan


def _row(
    data: RegressionData, learner: Learner, noise: float, predictions: Floats, exact: float, confidence: float
) -> dict[str, Any]:
    teacher_mse = float(np.mean((learner.teacher.test[0] - data.test_targets) ** 2))
    return {
        "model": learner.model,
        "noise": noise,
        "noise_variance": noise * data.target_variance,
        "num_students": len(predictions),
        **columns(inter_variance=inter_student_variance(predictions, confidence)),
        "closed_form_variance": exact,
        **columns(test_mse=positive_mean(squared_errors(predictions, data.test_targets), confidence)),
        "closed_form_mse": teacher_mse + exact,
        "teacher_mse": teacher_mse,
    }
