"""What sections on the training of students share: what they learn, their teacher, columns, and a bar."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Annotated, Literal

import numpy as np
from pydantic import Field
from tqdm import tqdm

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import State
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression._cells import columns
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.regression.networks import NetworkFit, Networks, StudentSeeds, train_networks
from kd_uncertainty.uncertainty.students import MIN_STUDENTS, inter_student_variance, positive_mean, squared_errors

TrainedOn = Literal["teacher", "ground_truth"]
"""What students are trained on: the teacher's predictions, or the data's own targets."""

NumStudents = Annotated[int, Field(ge=MIN_STUDENTS)]
"""Students of a cell; fewer have no interval."""

FULL_BATCH = 1_000_000
"""A batch size with room for every table of these studies: all examples at once, in their own order."""


def full_batch_fit(hidden: list[int], epochs: int, learning_rate: float) -> NetworkFit:
    """Return a multilayer perceptron trained by Adam on all examples at once, as the paper's networks are.

    Args:
        hidden: widths of the hidden layers.
        epochs: optimiser steps.
        learning_rate: of Adam.
    """
    return NetworkFit(
        network=NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": hidden}),
        training=TrainingOptions(epochs=epochs, batch_size=FULL_BATCH, learning_rate=learning_rate),
    )


def train_teacher(
    data: RegressionData, fit: NetworkFit, seed: int, *, initial: State | None = None, threads: int = 1
) -> Networks:
    """Train one network on the data's own targets.

    Args:
        data: the task.
        fit: the network and its training.
        seed: of its initialisation and batch order.
        initial: parameters (1, ...) to start from instead.
        threads: threads of the engine; no result depends on them.
    """
    seeds = StudentSeeds((derive_seed(seed, "initialisation"),), (derive_seed(seed, "order"),), (0,))
    return train_networks(data, data.train_targets[None], fit, seeds, initial=initial, threads=threads)


def mean_squared_error(predictions: Floats, truth: Floats) -> float:
    """Return the mean squared error of one model's predictions (points,)."""
    return float(np.mean((predictions - truth) ** 2))


def prediction_columns(predictions: Floats, truth: Floats, confidence: float) -> dict[str, float]:
    """Return inter_variance and test_mse with bounds over students, in squared units of the target.

    Args:
        predictions: (students, points).
        truth: (points,).
        confidence: of the intervals.
    """
    return columns(
        inter_variance=inter_student_variance(predictions, confidence),
        test_mse=positive_mean(squared_errors(predictions, truth), confidence),
    )


@contextlib.contextmanager
def progress_bar(section: str, students: int, shown: bool) -> Iterator[Callable[[int], None]]:
    """Within the context, a bar over ``students``; yields what moves it on by so many of them."""
    with tqdm(total=students, unit="student", desc=section, disable=not shown) as bar:

        def advance(finished: int) -> None:
            bar.update(finished)

        yield advance
