"""Linear softmax worlds that the tests share."""

import numpy as np

from kd_uncertainty.convergence.world import LinearWorld, WorldOptions, linear_world, softmax


def world(examples=30, features=3, classes=4, seed=0, size=0.8):
    """Normal inputs with an intercept, and normal weights that sum to 0 over the classes."""
    generator = np.random.default_rng(seed)
    inputs = np.column_stack([generator.standard_normal((examples, features - 1)), np.ones(examples)])
    weights = size * generator.standard_normal((classes, features))
    weights -= weights.mean(axis=0)
    return LinearWorld(inputs, weights, softmax(inputs, weights))


def mixture(examples=600, classes=5, features=30, seed=0):
    """A Gaussian mixture as in the paper's protocol: inputs, labels and Bayes probabilities."""
    generator = np.random.default_rng(seed)
    means = generator.choice([4.0, 5.0, 6.0], size=(classes, features))
    labels = generator.integers(0, classes, examples)
    inputs = means[labels] + np.sqrt(2.5) * generator.standard_normal((examples, features))
    logits = -((inputs[:, None] - means) ** 2).sum(axis=-1) / 5.0
    probabilities = np.exp(logits - logits.max(axis=1, keepdims=True))
    return inputs, labels, probabilities / probabilities.sum(axis=1, keepdims=True)


def mixture_world(**settings):
    """The world of that mixture, by its Bayes probabilities."""
    return linear_world(*mixture(), WorldOptions(**settings))
