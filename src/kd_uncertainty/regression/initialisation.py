r"""Model-driven student uncertainty: students that differ in where training starts alone.

One start ``W_0`` is drawn as He et al. (2015, "Delving deep into rectifiers") do, weights ``N(0, 2 / fan_in)`` and
biases 0, and shared by all students. Student s starts from ``W_0 (1 + sigma e_s)``, and from its biases plus
``0.1 sigma e_s``, with ``e_s`` standard normal (Cui & Pei, arXiv 2601.18909, section 5). The dispersion of that start
over students has a closed form: ``sigma^2 W^2`` for a weight and ``0.01 sigma^2`` for a bias.

Differences to the paper's public code: students learn from the teacher unless asked otherwise (there: from the ground
truth); the dispersion is measured on the perturbed start, before training, and once more after it; and beside the
perturbed students stand control students with a start of their own each.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from pydantic import Field, NonNegativeFloat
from torch import Tensor

from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.counter import as_seeds
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression._cells import columns
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
from kd_uncertainty.regression.networks import NetworkFit, StudentSeeds, network_build, train_networks
from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty.students import inter_student_variance

BIAS_SHARE = 0.1
"""A bias moves by this times sigma: it starts at 0, so that a share of its size would be none."""

_PAPER = full_batch_fit([128], epochs=300, learning_rate=0.01)


class InitialisationOptions(Options):
    """The students of the section: each of ``sigmas`` and, if asked for, the control, for each of ``targets``."""

    teacher: NetworkFit = _PAPER
    student: NetworkFit = _PAPER
    targets: Distinct[TrainedOn] = Field(
        ("teacher", "ground_truth"), description="what students learn; ground_truth as in the paper's public code"
    )
    sigmas: Distinct[NonNegativeFloat] = Field(
        (0.0, 0.1, 0.2, 0.3, 0.4), description="size of the perturbation, as a share of each weight"
    )
    independent: bool = Field(True, description="also train students with a Kaiming-normal start of their own each")
    num_students: NumStudents = Field(30, description="of each cell")
    seed: Seed = 6


class Start(NamedTuple):
    """Where the students of a cell start: a common start perturbed by ``sigma``, or (None) one of their own each."""

    sigma: float | None

    @property
    def keys(self) -> dict[str, str | float]:
        """The start's columns in the table."""
        if self.sigma is None:
            return {"initialisation": "independent", "sigma": math.nan}
        return {"initialisation": "perturbed", "sigma": self.sigma}


def initialisation_table(
    data: RegressionData,
    options: InitialisationOptions,
    *,
    confidence: float = 0.95,
    threads: int = 1,
    progress: bool = False,
) -> pd.DataFrame:
    """Return how dispersion in parameters becomes inter-student variance, one row a cell.

    Student s draws the same ``e_s`` for every sigma and target: cells are compared on common random numbers. Batch
    orders, which matter only with batches smaller than the table, are the same for all students.

    Args:
        data: the task.
        options: of the section.
        confidence: of the intervals.
        threads: threads over students; no result depends on them.
        progress: whether to show a bar.

    Returns:
        targets, initialisation, sigma, num_students; with bounds over students: parameter_dispersion and
        trained_dispersion (mean over weights and biases of their variance over students, at the start and after
        training; of networks whose targets have variance 1), inter_variance and test_mse (squared units of the
        target); teacher_mse. The start and the teacher are one draw each, which no bound covers.

    Raises:
        UserError: if a network cannot be built or diverges.
    """
    seed = options.seed
    teacher_start = kaiming_states(network_build(data, options.teacher), [derive_seed(seed, "teacher start")])
    teacher = train_teacher(data, options.teacher, derive_seed(seed, "teacher"), initial=teacher_start, threads=threads)
    answers = teacher.predict(data.train_inputs)[0]
    labels = {"teacher": answers, "ground_truth": data.train_targets}
    teacher_mse = mean_squared_error(teacher.predict(data.test_inputs)[0], data.test_targets)
    students = options.num_students
    rows: list[dict[str, Any]] = []
    seeds = StudentSeeds((0,) * students, (derive_seed(seed, "order"),) * students, (0,) * students)
    starts = [Start(sigma) for sigma in options.sigmas] + [Start(None)] * options.independent
    with progress_bar("initialisation", len(starts) * len(options.targets) * students, progress) as advance:
        for start in starts:
            initial = start_states(network_build(data, options.student), start, students, seed)
            dispersion = inter_student_variance(flat_parameters(initial), confidence)
            for target in options.targets:
                trained = train_networks(
                    data, labels[target][None], options.student, seeds,
                    initial=initial, threads=threads, progress=advance,
                )  # fmt: skip
                after = inter_student_variance(flat_parameters(trained.parameters), confidence)
                rows.append(
                    {
                        "targets": target,
                        **start.keys,
                        "num_students": students,
                        **columns(parameter_dispersion=dispersion, trained_dispersion=after),
                        **prediction_columns(trained.predict(data.test_inputs), data.test_targets, confidence),
                        "teacher_mse": teacher_mse,
                    }
                )
    rows.sort(key=lambda row: options.targets.index(row["targets"]))
    return pd.DataFrame(rows)


def start_states(build: Build, start: Start, students: int, seed: int) -> State:
    """Return where the students of a cell start, stacked (students, ...).

    Args:
        build: builds one network.
        start: common and perturbed, or of their own.
        students: how many; the first of more are the same.
        seed: of the section.
    """
    if start.sigma is None:
        return kaiming_states(build, [derive_seed(seed, "independent start", student) for student in range(students)])
    common = kaiming_states(build, [derive_seed(seed, "start")])
    return perturbed_states(
        common, start.sigma, [derive_seed(seed, "perturbation", student) for student in range(students)]
    )


def kaiming_states(build: Build, seeds: Sequence[int]) -> State:
    """Return Kaiming-normal starts, stacked (students, ...): weights ``N(0, 2 / fan_in)``, biases 0.

    Weights are the parameters of two or more axes, with ``fan_in`` the product of all but the first, as in
    ``torch.nn.init.kaiming_normal_``; biases those of one axis whose name ends in "bias". All else (the scales and
    buffers of a normalisation) stays as the network's class makes it.

    Args:
        build: builds one network.
        seeds: one a student; normals come from the stream of each parameter's position under its seed.
    """
    states = initial_states(build, seeds, torch.device("cpu"))
    for stream, name, values in _weights(states):
        fan_in = math.prod(values.shape[2:])
        states[name] = (_normals(seeds, stream, values) * math.sqrt(2.0 / max(fan_in, 1))).to(values.dtype)
    for _, name, values in _biases(states):
        states[name] = torch.zeros_like(values)
    return states


def perturbed_states(start: State, sigma: float, seeds: Sequence[int]) -> State:
    """Return the start perturbed for each student, stacked (students, ...).

    ``W (1 + sigma e)`` for weights and ``b + 0.1 sigma e`` for biases, computed in float64 and rounded once; with
    sigma = 0 that is the start, bit for bit.

    Args:
        start: parameters and buffers of one network, (1, ...).
        sigma: size of the perturbation.
        seeds: one a student; the same ``e`` whatever sigma.
    """
    states = {name: values.expand(len(seeds), *values.shape[1:]).clone() for name, values in start.items()}
    for stream, name, values in _weights(states):
        states[name] = (values.double() * (1.0 + sigma * _normals(seeds, stream, values))).to(values.dtype)
    for stream, name, values in _biases(states):
        noise = BIAS_SHARE * sigma * _normals(seeds, stream, values)
        states[name] = (values.double() + noise).to(values.dtype)
    return states


def flat_parameters(states: State) -> Floats:
    """Return all weights and biases side by side, (students, parameters)."""
    parts = sorted([*_weights(states), *_biases(states)])
    return np.concatenate([values.double().flatten(1).numpy() for _, _, values in parts], axis=1)


Named = tuple[int, str, Tensor]
"""A parameter's position among all, its name, and its values (students, ...)."""


def _weights(states: State) -> Iterator[Named]:
    for position, (name, values) in enumerate(list(states.items())):
        if values.ndim > 2 and values.is_floating_point():
            yield position, name, values


def _biases(states: State) -> Iterator[Named]:
    for position, (name, values) in enumerate(list(states.items())):
        if values.ndim == 2 and name.endswith("bias"):
            yield position, name, values


def _normals(seeds: Sequence[int], stream: int, like: Tensor) -> Tensor:
    """Return standard normals (students, ...) in float64, of the shape of ``like``."""
    return torch.from_numpy(standard_normals(as_seeds(seeds), stream, math.prod(like.shape[1:]))).view(like.shape)
