"""The models of the eigenspace study on a task: inputs, loss, starts, learning rates and directions."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import PositiveInt

from kd_uncertainty.deviations.eigenspace_tasks import Task, eigen
from kd_uncertainty.deviations.trajectories import (
    Descent,
    Learner,
    LinearCrossEntropy,
    LinearSquared,
    State,
    TwoLayers,
)
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Options

Floats = NDArray[np.float64]

Kind = Literal["linear_squared", "linear_cross_entropy", "random_features", "mlp"]
Start = Literal["zero", "own", "shared"]

_FEATURE_BIAS = 0.3
"""Standard deviation of the random features' biases, where their weighted inputs have root mean square 1."""


class Networks(Options):
    """Sizes of the models with hidden units."""

    num_features: PositiveInt = 60
    hidden: PositiveInt = 32


class Model(NamedTuple):
    """A model on a task, for all seeds.

    Attributes:
        descent: learner, inputs (or features), learning rates, directions.
        targets: (seeds, examples, classes), of teachers and controls.
        eigenvalues: (seeds, directions), falling.
        starts: of students, relative to their teachers.
        hidden: units of the network, None for a linear model.
        seeds: one a task.
    """

    descent: Descent
    targets: Floats
    eigenvalues: Floats
    starts: tuple[Start, ...]
    hidden: int | None
    seeds: tuple[int, ...]

    def start(self, purpose: str) -> State:
        """The state at step 0, which depends on a seed and the purpose alone.

        Args:
            purpose: "teacher" or "student"; all the same to linear models, which start from 0.
        """
        inputs, outputs = self.descent.inputs.shape[2], self.targets.shape[2]
        if self.hidden is None:
            return (np.zeros((len(self.seeds), inputs, outputs)),)
        first, second = [], []
        for seed in self.seeds:
            generator = _generator(seed, f"{purpose} start")
            first.append(np.sqrt(2.0 / inputs) * generator.standard_normal((inputs, self.hidden)))
            second.append(np.sqrt(2.0 / self.hidden) * generator.standard_normal((self.hidden, outputs)))
        biases = np.zeros((len(self.seeds), 1, self.hidden)), np.zeros((len(self.seeds), 1, outputs))
        return np.stack(first), biases[0], np.stack(second), biases[1]


def make_model(
    kind: Kind, task: Task, networks: Networks, learning_rate: float, directions: int, momentum: float = 0.0
) -> Model:
    """Set a model up on a task.

    Args:
        kind: of the model; those with squared loss learn centred labels, as they have no intercept.
        task: inputs and labels of all seeds.
        networks: sizes.
        learning_rate: as a multiple of 1 / l1 of the inputs (features).
        directions: at most.
        momentum: of the descent.

    Raises:
        UserError: inputs vary in one direction alone.
    """
    inputs = random_features(task, networks.num_features) if kind == "random_features" else task.inputs
    squared = kind in ("linear_squared", "random_features")
    targets = task.targets - task.targets.mean(axis=1, keepdims=True) if squared else task.targets
    found = eigen(inputs, directions)
    return Model(
        Descent(_learner(kind), inputs, learning_rate / found.values[:, 0], found.vectors, momentum),
        targets,
        found.values,
        ("own", "shared") if kind == "mlp" else ("zero",),
        networks.hidden if kind == "mlp" else None,
        task.seeds,
    )


def random_features(task: Task, count: int) -> Floats:
    """Centred ``relu(x g / s + b)`` with normal g and b, where s is the root mean square norm of the inputs.

    Args:
        task: inputs of all seeds.
        count: features.

    Returns:
        (seeds, examples, count).
    """
    features = []
    for inputs, seed in zip(task.inputs, task.seeds, strict=True):
        generator = _generator(seed, "features")
        scale = np.sqrt((inputs**2).sum(axis=1).mean())
        weights = generator.standard_normal((inputs.shape[1], count)) / scale
        drawn = np.maximum(inputs @ weights + _FEATURE_BIAS * generator.standard_normal(count), 0.0)
        features.append(drawn - drawn.mean(axis=0))
    return np.stack(features)


def _learner(kind: Kind) -> Learner:
    if kind == "mlp":
        return TwoLayers()
    return LinearCrossEntropy() if kind == "linear_cross_entropy" else LinearSquared()


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive_seed(seed, "eigenspace", purpose)))
