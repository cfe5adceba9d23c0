"""Regression tasks whose distilled students are known in closed form."""

from __future__ import annotations

import numpy as np
from scipy.linalg import hadamard

from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.regression.data import RegressionData
from kd_uncertainty.regression.networks import NetworkFit

QUICK = NetworkFit(training=TrainingOptions(epochs=40, batch_size=1_000_000, learning_rate=0.01))
"""Networks that learn something in a few milliseconds."""


def task(examples: int = 40, features: int = 4, points: int = 25, seed: int = 0, curvature: float = 1.0):
    """Targets far from standard units: a linear trend, a bend that linear students miss, and noise."""
    generator = np.random.default_rng(seed)
    inputs = generator.standard_normal((examples + points, features))
    slope = generator.standard_normal(features)
    targets = inputs @ slope + curvature * inputs[:, 0] ** 2 + 0.5 * generator.standard_normal(examples + points)
    return as_data(inputs, 150.0 + 30.0 * targets, examples)


def balanced_task(examples: int = 32, features: int = 7):
    """A task in which every training point has the same leverage, (features + 1) / examples, also in the test split."""
    inputs = hadamard(examples)[:, 1 : features + 1].astype(np.float64)
    targets = inputs.sum(axis=1) + np.random.default_rng(1).standard_normal(examples)
    return as_data(np.concatenate([inputs, inputs]), np.concatenate([targets, targets]), examples)


def as_data(inputs, targets, examples):
    """The first ``examples`` rows are the training split, the others the test split."""
    train = targets[:examples]
    return RegressionData(
        inputs[:examples], train, inputs[examples:], targets[examples:], float(train.mean()), float(train.std())
    )


def with_intercept(inputs):
    """Inputs with a column of ones."""
    return np.column_stack([inputs, np.ones(len(inputs))])


def hat_matrices(data):
    """Return H, which takes training targets to fitted values, and the same for the test points."""
    pseudo_inverse = np.linalg.pinv(with_intercept(data.train_inputs))
    return with_intercept(data.train_inputs) @ pseudo_inverse, with_intercept(data.test_inputs) @ pseudo_inverse
