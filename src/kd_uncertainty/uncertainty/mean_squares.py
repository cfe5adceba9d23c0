r"""Influences of seed levels on variance components by way of the seven mean squares of a crossed design.

With Gaussian effects the mean squares of a full crossing are independent, ``E MS_U = sum over T containing U of
sigma_T^2 times the levels of the factors outside T``, and every component is a linear combination of them (Searle,
Casella & McCulloch 1992, chapter 4). So each is perturbed once, by the jackknife over the levels of that factor of U
which has the most, and components that share a mean square share its perturbation. A jackknife over the levels of every
factor of U would count an interaction several times, with the heavy tails of the factor with the fewest levels.
"""

from __future__ import annotations

import itertools
from functools import cache
from typing import NamedTuple

import numpy as np

from kd_uncertainty.uncertainty.components import pair_means
from kd_uncertainty.uncertainty.decomposition import FloatArray

Shape = tuple[int, ...]
EFFECTS = tuple(effect for effect in itertools.product((0, 1), repeat=3) if any(effect))
"""Main effects and interactions: which of response, initialisation and order take part."""


class Influences(NamedTuple):
    """How the choice of seed levels moves the components.

    Attributes:
        deviations: for each factor (levels, 5), in the order of ``COMPONENTS``; they sum to 0 over levels.
        scale: (5,) what each component's mean squares add, without what they subtract; not negative.
    """

    deviations: list[FloatArray]
    scale: FloatArray


def mean_squares(means: FloatArray, shape: Shape) -> FloatArray:
    """Mean squares (..., 7) of ``EFFECTS`` from the means over pairs (..., 2, 2, 2); linear.

    Args:
        means: of ``pair_means``, perhaps with a level left out.
        shape: levels of each factor in the whole design; a level left out changes no mean square that it can tell of.
    """
    flat = means.reshape(*means.shape[:-3], 8)
    return np.asarray(flat @ (_expectations(shape) @ _differences()).T)


def component_weights(shape: Shape) -> FloatArray:
    """Weights (5, 7) that turn the mean squares into ``COMPONENTS``."""
    parts = np.array(
        [np.ones(7), *([effect == one for effect in EFFECTS] for one in ((1, 0, 0), (0, 1, 0), (0, 0, 1)))]
        + [[sum(effect) > 1 for effect in EFFECTS]],
        dtype=np.float64,
    )
    return np.asarray(parts @ np.linalg.inv(_expectations(shape)))


def mean_square_influences(gram: FloatArray, shape: Shape) -> Influences:
    """Corrected jackknife deviations of the components, each mean square perturbed once.

    Two levels are blind, as in ``component_influences``; one has no influence.

    Args:
        gram: (students, students) in C order of ``shape``.
        shape: levels of response, initialisation and order.
    """
    weights = component_weights(shape)
    full = mean_squares(pair_means(gram, shape), shape)
    deviations = []
    for factor, num_levels in enumerate(shape):
        moved = np.zeros((num_levels, len(EFFECTS)))
        if num_levels > 2:
            means = np.stack([pair_means(gram, shape, (factor, level)) for level in range(num_levels)])
            left_out = mean_squares(means, shape)
            moved = np.sqrt((num_levels - 2) / num_levels) * (left_out - left_out.mean(axis=0))
        elif num_levels == 2:
            moved = np.outer([1.0, -1.0], np.abs(full)) / np.sqrt(2.0)
        deviations.append((moved * _shares(factor, shape)) @ weights.T)
    return Influences(deviations, np.maximum(np.maximum(weights, 0.0) @ full, 0.0))


def _shares(factor: int, shape: Shape) -> FloatArray:
    """Share (7,) of each mean square's deviation that this factor perturbs; squares add up to 1 over factors."""
    found = np.zeros(len(EFFECTS))
    for number, effect in enumerate(EFFECTS):
        most = max(levels for levels, present in zip(shape, effect, strict=True) if present)
        tied = [one for one, present in enumerate(effect) if present and shape[one] == most]
        if factor in tied:
            found[number] = len(tied) ** -0.5
    return found


@cache
def _expectations(shape: Shape) -> FloatArray:
    """Weights (7, 7): expected mean squares as sums of the effects' variances."""
    outside = [np.prod([n for n, present in zip(shape, effect, strict=True) if not present]) for effect in EFFECTS]
    return np.array(
        [[outside[t] if _within(one, other) else 0.0 for t, other in enumerate(EFFECTS)] for one in EFFECTS]
    )


@cache
def _differences() -> FloatArray:
    """Weights (7, 8) of the pairs' means in the effects' variances: inclusion and exclusion of shared factors."""
    everything = list(itertools.product((0, 1), repeat=3))
    return np.array(
        [[(-1.0) ** (sum(one) - sum(t)) if _within(t, one) else 0.0 for t in everything] for one in EFFECTS]
    )


def _within(first: Shape, second: Shape) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))
