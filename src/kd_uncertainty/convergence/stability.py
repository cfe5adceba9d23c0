r"""Networks distilled from supervision of different noise: how well they end, and how much they still move.

The synthetic experiment of Morad, Shlezinger & Eldar (arXiv 2601.01484): a small MLP, SGD at batch size 1, and arms
that differ in their targets only (:mod:`kd_uncertainty.convergence.arms`). In every arm, student s starts from the same
initialisation and visits the same examples in the same order; students of different number share neither, nor a draw of
target noise. All students of all arms are one population. Every figure is a mean over students of an arm, and every
ratio to the one-hot arm is paired over their numbers. The data's labels are one draw, which no interval covers.

The paper's loss ``KL(target || student)`` differs from the cross-entropy that is minimised here by the target's
entropy, which has no gradient.

Students are evaluated along the way, several times in a pass over the data: each pass visits a fresh permutation, cut
into segments of equal length, a multiple of the batch size where there is room. What is left of the permutation's end
is skipped in that pass, fewer examples than there are segments times the batch size. A segment is what the engine
calls an epoch; the optimiser's state goes on from one to the next.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty.convergence._stability_options import StabilityOptions
from kd_uncertainty.convergence._stability_tables import Measured, curve_table, figure_table
from kd_uncertainty.convergence._stability_training import spread, train_arms
from kd_uncertainty.convergence.arms import Arm, TargetTables, make_arms, target_tables
from kd_uncertainty.convergence.examples import StudyExamples, study_examples
from kd_uncertainty.convergence.noise import gradient_variances
from kd_uncertainty.convergence.segments import segment_length
from kd_uncertainty.convergence.teacher_error import squared_error, teacher_error_table
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.targets import exact_probabilities
from kd_uncertainty.population.training import predict
from kd_uncertainty.tasks.options import Split

__all__ = ["Stability", "StabilityOptions", "StudyExamples", "measure_stability", "study_examples", "train_arms"]

EVALUATED: tuple[Split, ...] = ("validation", "test")
"""Splits on which trained students are evaluated."""


class Stability(NamedTuple):
    """Tables of the experiment.

    Attributes:
        curves: arm, teacher, level, mixing, step, epoch, metric (accuracy, nll), estimate, lower, upper, num_seeds; on
            the validation split along the way.
        table: arm, teacher, level, mixing, split, metric, estimate, lower, upper, ratio, ratio_lower, ratio_upper,
            num_seeds.
        teacher_error: as :func:`~kd_uncertainty.convergence.teacher_error.teacher_error_table`.
    """

    curves: pd.DataFrame
    table: pd.DataFrame
    teacher_error: pd.DataFrame


def measure_stability(
    data: StudyExamples,
    soft_labels: Mapping[str, NDArray[Any]],
    options: StabilityOptions,
    *,
    confidence: float = 0.95,
    bins: int = 15,
    threads: int = 1,
    progress: bool = False,
) -> Stability:
    """Train the population and return what became of it.

    Args:
        data: the task, all splits.
        soft_labels: logits (examples, draws, classes) of every teacher by name, of all examples in their order; may be
            empty.
        options: of the section.
        confidence: of the intervals, over students (of teachers: over examples).
        bins: of the calibration error.
        threads: threads over students; no result depends on them.
        progress: whether to show a bar.

    Raises:
        UserError: if there is nothing to compare, a teacher is missing, the data are too few for the evaluations, or
            training diverges.
    """
    arms = make_arms(options.arms, tuple(soft_labels), data.bayes is not None)
    teachers = {name: exact_probabilities(logits) for name, logits in soft_labels.items()}
    part = data.part("train")
    rows = data.rows("train")
    targets = target_tables(
        arms, part.bayes, {name: values[rows] for name, values in teachers.items()}, options.num_seeds, options.seed
    )
    build = network_builder(
        options.network.class_path, options.network.arguments, data.inputs.shape[1], data.num_classes
    )
    trained = train_arms(build, data, arms, targets, options, threads=threads, progress=progress)
    measured = Measured(
        arms,
        options.num_seeds,
        curves={
            name: trained.validation[f"validation_{name}"].double().numpy().reshape(len(arms), options.num_seeds, -1)
            for name in ("accuracy", "nll")
        },
        logits={split: predict(build, trained.parameters, data.part(split).inputs).numpy() for split in EVALUATED},
        labels={split: data.part(split).labels.numpy() for split in EVALUATED},
        gradient_variance=_gradient_variances(build, trained.parameters, part, arms, targets, options, threads),
        target_error=_target_errors(part, arms, targets),
    )
    batch_size, evaluations = options.training.batch_size, trained.losses.shape[1]
    steps_between = math.ceil(segment_length(len(rows), options.evaluations, batch_size) / batch_size)
    return Stability(
        curve_table(measured, np.arange(1, evaluations + 1) * steps_between, options.evaluations, confidence),
        figure_table(measured, options.tail, confidence, bins),
        teacher_error_table(data, teachers, confidence=confidence, bins=bins, seed=options.seed),
    )


def _gradient_variances(
    build: Build,
    parameters: State,
    part: StudyExamples,
    arms: list[Arm],
    targets: TargetTables,
    options: StabilityOptions,
    threads: int,
) -> NDArray[np.float64]:
    """Return (arms, seeds), under each student's own targets."""
    shown = spread(len(part.labels), options.gradient_examples)
    hard = one_hot(part.labels, part.num_classes).double()

    def target_of(student: int) -> Tensor:
        place = divmod(student, options.num_seeds)
        return targets.target(arms[place[0]], place, hard)[shown]

    found = gradient_variances(build, parameters, part.inputs[shown], target_of, threads)
    return found.reshape(len(arms), options.num_seeds)


def _target_errors(part: StudyExamples, arms: list[Arm], targets: TargetTables) -> NDArray[np.float64] | None:
    """Return (arms, seeds) mean squared errors of the training targets to the Bayes probabilities, where known."""
    if part.bayes is None:
        return None
    hard = one_hot(part.labels, part.num_classes).double()
    # Rounded as targets are, so that the error of the exact arm is 0 and not that of rounding.
    bayes = part.bayes.astype(np.float32).astype(np.float64)
    return np.array(
        [
            [
                squared_error(targets.target(arm, (row, number), hard).numpy(), bayes).mean()
                for number in range(targets.table_of.shape[1])
            ]
            for row, arm in enumerate(arms)
        ]
    )
