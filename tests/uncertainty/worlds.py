"""Random-effects worlds with known variance components."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray

EFFECTS = ((1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 1, 0), (1, 0, 1), (0, 1, 1), (1, 1, 1))


def crossing(shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.array(list(itertools.product(*(range(n) for n in shape))))


def effects_world(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    deviations: tuple[float, ...],
    rank: int = 5,
    num_examples: int = 100,
    num_classes: int = 5,
) -> NDArray[np.float64]:
    """Predictions (students, examples, classes) with Gaussian effects of the given standard deviation per class.

    Every effect has low rank over examples and classes (as networks' effects have), and some examples are far more
    sensitive than others.
    """
    sensitivity = np.sqrt(rng.gamma(1.0, 1.0, (num_examples, 1)))
    values = np.zeros((*shape, num_examples, num_classes))
    for effect, deviation in zip(EFFECTS, deviations, strict=True):
        loadings = rng.standard_normal((rank, num_examples, num_classes)) / np.sqrt(rank) * sensitivity
        levels = tuple(n if present else 1 for n, present in zip(shape, effect, strict=True))
        values = values + deviation * np.tensordot(rng.standard_normal((*levels, rank)), loadings, axes=1)
    return values.reshape(-1, num_examples, num_classes)


def true_components(deviations: tuple[float, ...], num_classes: int = 5) -> NDArray[np.float64]:
    """inter_unbiased, response, initialisation, order, residual, summed over classes."""
    variances = np.square(deviations) * num_classes
    return np.array([variances.sum(), *variances[:3], variances[3:].sum()])


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def curve_world(
    rng: np.random.Generator,
    shape: tuple[int, int, int],
    num_responses: tuple[int, ...],
    deviations: tuple[float, ...],
    rank: int = 5,
    num_examples: int = 60,
    num_classes: int = 4,
) -> list[NDArray[np.float64]]:
    """Predictions at each k: effects with a response factor average the first k of nested draws, the others stay.

    So Var(k) = a / k + b exactly, with a the sum of the variances of the effects that involve the response.
    """
    worlds = []
    states = [int(state) for state in rng.integers(2**32, size=len(EFFECTS))]
    sensitivity = np.sqrt(rng.gamma(1.0, 1.0, (num_examples, 1)))
    for k in num_responses:
        values = np.zeros((*shape, num_examples, num_classes))
        for effect, deviation, state in zip(EFFECTS, deviations, states, strict=True):
            own = np.random.default_rng(state)
            loadings = own.standard_normal((rank, num_examples, num_classes)) / np.sqrt(rank) * sensitivity
            levels = tuple(n if present else 1 for n, present in zip(shape, effect, strict=True))
            draws = own.standard_normal((k if effect[0] else 1, *levels, rank)).mean(axis=0)
            values = values + deviation * np.tensordot(draws, loadings, axes=1)
        worlds.append(values.reshape(-1, num_examples, num_classes))
    return worlds
