"""What the cells of a grid share: kinds of students, seeds, responses, and columns of a table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.linear.shared import fit_targets
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.regression.networks import NetworkFit, StudentSeeds, train_networks
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.weighting import Responses

Model = Literal["linear", "network"]
"""Least squares in closed form, or a network trained by gradient descent; teacher and students alike."""

Seeds = NDArray[np.uint64]
Progress = Callable[[int], object]
"""Called with the number of students that finished since the last call."""

NumStudents = Annotated[int, Field(ge=4)]
"""Students of a cell; fewer than three have no interval, and each of two halves must have a variance."""


class Predictions(NamedTuple):
    """Predictions of students in the source's units, at training (students, examples) and test (students, points)."""

    train: Floats
    test: Floats


class Learner(NamedTuple):
    """A kind of teacher and student on one task.

    Attributes:
        model: the kind.
        teacher: the teacher's predictions, with one row; at the training inputs they are its mean responses.
        learn: from targets (students, examples), the students' numbers and what they are trained for, such as "student"
            or "pilot", to their predictions. The initialisation of student s depends on s and the purpose alone, so it
            is the same in every cell.
    """

    model: Model
    teacher: Predictions
    learn: Callable[[Floats, str], Predictions]

    @property
    def means(self) -> Floats:
        """The teacher's mean responses, (examples,)."""
        return np.asarray(self.teacher.train[0])


def seeds_of(seed: int, purpose: str, count: int) -> Seeds:
    """Return the seeds of ``count`` students for one purpose, (count,)."""
    return np.array([derive_seed(seed, purpose, number) for number in range(count)], dtype=np.uint64)


def make_learner(
    model: Model, data: RegressionData, fit: NetworkFit, seed: int, threads: int = 1, progress: Progress | None = None
) -> Learner:
    """Train the teacher on the data's own targets and return it with what trains students.

    A linear teacher is the least-squares fit; a network is trained as its students are, from a seed of its own.

    Args:
        model: the kind.
        data: the task.
        fit: the network of teacher and students; unused by linear ones.
        seed: of the section.
        threads: threads over students; no result depends on them.
        progress: told of finished students.

    Raises:
        UserError: if the training of the teacher diverges, or the network fails.
    """
    learn = _linear(data, progress) if model == "linear" else _network(data, fit, seed, threads, progress)
    return Learner(model, learn(data.train_targets[None], "teacher"), learn)


def _linear(data: RegressionData, progress: Progress | None) -> Callable[[Floats, str], Predictions]:
    design = make_design(data.train_inputs)

    def learn(targets: Floats, purpose: str) -> Predictions:
        parameters = fit_targets(design, targets)
        if progress is not None and purpose != "teacher":
            progress(len(targets))
        return Predictions(predict(parameters, data.train_inputs), predict(parameters, data.test_inputs))

    return learn


def _network(
    data: RegressionData, fit: NetworkFit, seed: int, threads: int, progress: Progress | None
) -> Callable[[Floats, str], Predictions]:
    inputs = np.concatenate([data.train_inputs, data.test_inputs])

    def learn(targets: Floats, purpose: str) -> Predictions:
        count = len(targets)
        initialisation = seeds_of(seed, f"{purpose} initialisation", count).tolist()
        order = seeds_of(seed, f"{purpose} order", count).tolist()
        seeds = StudentSeeds(tuple(initialisation), tuple(order), tuple(range(count)))
        told = None if purpose == "teacher" else progress
        outputs = train_networks(data, targets, fit, seeds, threads=threads, progress=told).predict(inputs)
        return Predictions(*np.split(outputs, [len(data.train_inputs)], axis=1))

    return learn


class NoiseSums:
    """Moments of the standardised noise of students' responses, extended response by response.

    Response j of student s to example i is ``mean_i + noise_std z`` with normal i of stream j of the student's seed, as
    in :func:`~kd_uncertainty.population.linear.shared.noisy_students`. So fewer responses are a prefix of more, and
    every noise variance scales the same numbers.

    Attributes:
        count: responses so far.
        sums: (students, examples), of the noise.
        squares: (students, examples), of its squares.
    """

    def __init__(self, seeds: Seeds, num_examples: int) -> None:
        self._seeds = seeds
        self.count = 0
        self.sums: Floats = np.zeros((len(seeds), num_examples))
        self.squares: Floats = np.zeros((len(seeds), num_examples))

    def extend(self, count: int) -> None:
        """Draw on until there are ``count`` responses."""
        for stream in range(self.count, count):
            noise = standard_normals(self._seeds, stream, self.sums.shape[1])
            self.sums += noise
            self.squares += noise**2
        self.count = max(self.count, count)

    def responses(self, means: Floats, noise_std: float) -> Responses:
        """Return the responses' mean and variance in the source's units, with the teacher's means (examples,)."""
        centre = self.sums / self.count
        spread = np.maximum(self.squares / self.count - centre**2, 0.0)
        return Responses(means + noise_std * centre, noise_std**2 * spread, self.count)

    def later_mean(self, earlier: NoiseSums, means: Floats, noise_std: float) -> Floats:
        """Return the mean of the responses that ``earlier`` has not drawn, (students, examples)."""
        return means + noise_std * (self.sums - earlier.sums) / (self.count - earlier.count)


def columns(**intervals: Interval) -> dict[str, float]:
    """Return ``x``, ``x_lower`` and ``x_upper`` of every interval."""
    return {
        f"{name}{suffix}": bound
        for name, interval in intervals.items()
        for suffix, bound in zip(("", "_lower", "_upper"), interval, strict=True)
    }
