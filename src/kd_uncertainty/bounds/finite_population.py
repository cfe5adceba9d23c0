r"""A population that is known exactly: inputs drawn uniformly from a table, labels from known probabilities.

Training sets are n independent draws ``(x, y)`` with ``y ~ P(. | x)``. Risks of any predictor are then sums, not
estimates: ``L_P(f) = mean_x sum_k P(k | x) l(f(x), k)``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor

from kd_uncertainty.bounds._networks_options import Loss
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed, uniforms
from kd_uncertainty.population.targets import sample_labels

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

LOSS_RANGE = (0.0, 1.0)
"""Of every loss here."""


class FinitePopulation(NamedTuple):
    """Inputs, each equally likely, and the probabilities of their labels.

    Attributes:
        inputs: (points, features) float32.
        probabilities: (points, classes), positive, rows sum to 1.
    """

    inputs: Tensor
    probabilities: Floats


class TrainingSets(NamedTuple):
    """Training sets of one size.

    Attributes:
        points: (sets, n), positions in the population.
        labels: (sets, n).
    """

    points: Integers
    labels: Integers


def known_population(data: StudyExamples, label_noise: float, most: int | None = None) -> FinitePopulation:
    """Return the examples of all splits as a population with noisy labels.

    Without known Bayes probabilities the table's labels are taken as certain before the noise, which gives a label
    each of the other classes with probability ``label_noise / (classes - 1)``.

    Args:
        data: the task.
        label_noise: probability that a label is replaced by another class.
        most: examples at most, evenly spread over the table.

    Raises:
        UserError: if a class is impossible somewhere, where a divergence to the truth would be infinite.
    """
    count, classes = len(data.labels), data.num_classes
    kept = count if most is None else min(count, most)
    rows = np.arange(kept) * count // kept
    certain = np.eye(classes)[data.labels.numpy()[rows]] if data.bayes is None else data.bayes[rows]
    other = label_noise / (classes - 1)
    probabilities = certain * (1.0 - label_noise - other) + other * certain.sum(axis=1, keepdims=True)
    if not (probabilities > 0.0).all():
        raise UserError(
            f"networks.label_noise: at {label_noise} some classes are impossible for some examples, and pseudo-labels "
            "that name one make the divergence infinite; set a label_noise above 0"
        )
    return FinitePopulation(data.inputs[torch.from_numpy(rows)], probabilities)


def draw_sets(population: FinitePopulation, num_sets: int, num_examples: int, seed: int) -> TrainingSets:
    """Draw independent training sets.

    Set r is a function of (seed, r): a smaller set is the beginning of a larger one, and populations that differ in
    their probabilities alone share inputs and the numbers behind the labels.

    Args:
        population: drawn from.
        num_sets: how many.
        num_examples: n.
        seed: of the draws.
    """
    count = len(population.probabilities)
    points, labels = np.empty((2, num_sets, num_examples), dtype=np.int64)
    for number in range(num_sets):
        points[number] = uniforms(derive_seed(seed, "inputs", number), 0, num_examples) * count
        drawn = sample_labels(population.probabilities[points[number]], derive_seed(seed, "labels", number), 1)
        labels[number] = drawn[:, 0]
    return TrainingSets(points, labels)


def losses_of(logits: Floats, loss: Loss) -> Floats:
    """Return the loss under every possible label, (..., points, classes), from 0 to 1.

    ``1/2 sum_j (p_j - [j = k])^2`` for "brier", with p the softmax of the logits; ``[argmax != k]`` for "zero_one".

    Args:
        logits: (..., points, classes).
        loss: which one.
    """
    if loss == "zero_one":
        return np.asarray(1.0 - np.eye(logits.shape[-1])[logits.argmax(axis=-1)])
    predicted = softmax(np.asarray(logits, dtype=np.float64), axis=-1)
    return np.asarray(0.5 * ((predicted**2).sum(axis=-1, keepdims=True) + 1.0) - predicted)


def risk(losses: Floats, population: FinitePopulation) -> Floats:
    """Return L_P, (...), from losses (..., points, classes)."""
    return np.asarray(np.einsum("...xk,xk->...", losses, population.probabilities) / len(population.probabilities))


def empirical_risk(losses: Floats, sets: TrainingSets) -> Floats:
    """Return L_D of the predictors of each training set on it, (sets, draws).

    Args:
        losses: (sets, draws, points, classes).
        sets: as many.
    """
    rows = np.arange(len(losses))[:, None]
    return np.asarray(losses[rows, :, sets.points, sets.labels].mean(axis=1), dtype=np.float64)
