r"""Variance components with intervals by way of the seven mean squares of a crossed design.

With Gaussian effects the mean squares of a full crossing are independent, ``E MS_U = sum over T containing U of
sigma_T^2 times the levels of the factors outside T``, and every component is a linear combination of them (Searle,
Casella & McCulloch 1992, chapter 4). So each is perturbed once, by the jackknife over the levels of that factor of U
which has the most, and statistics that share a mean square share its perturbation. A jackknife over every factor of U
would count an interaction several times, with the heavy tails of the factor with the fewest levels.

A statistic's deviations come from factors with different numbers of levels. Their degrees of freedom are combined as
Welch and Satterthwaite do, ``(sum_f v_f)^2 / sum_f v_f^2 / (n_f - 1)``, and the sum gets the tails of Student's t with
that many: a sum of t variables, each with its own, would be too wide. Examples are many, and add normal deviations.
"""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
from scipy import stats

from kd_uncertainty.schemas import FACTORS
from kd_uncertainty.uncertainty.components import COMPONENTS, CrossedDesign, pair_means
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.jackknife import Sampled
from kd_uncertainty.uncertainty.resampling import Multipliers, example_deviations, resample

Shape = tuple[int, ...]
MEAN_SQUARE_STATISTICS = ("inter", *COMPONENTS)
EFFECTS = tuple(effect for effect in itertools.product((0, 1), repeat=3) if any(effect))
"""Main effects and interactions: which of response, initialisation and order take part."""
MAX_DEGREES = 1e6
"""Student's t with more degrees of freedom is taken for a normal variable with so many."""


def sample_mean_squares(
    gram: FloatArray, shares: FloatArray, design: CrossedDesign, multipliers: Multipliers, split: str
) -> Sampled:
    """Estimates and replicates of ``MEAN_SQUARE_STATISTICS``.

    Args:
        gram: (blocks, students, students) of ``gram_matrices``.
        shares: (blocks,) share of the examples.
        design: the students' crossing.
        multipliers: the shared draws.
        split: name of the split.
    """
    shape = design.shape
    weights = statistic_weights(shape)
    by_block = mean_squares(pair_means(gram, shape), shape)
    squares = shares @ by_block
    deviations = np.zeros((multipliers.num_bootstrap, len(weights)))
    variance, spread = np.zeros((2, len(weights)))
    for factor, influence in enumerate(level_influences(np.tensordot(shares, gram, axes=1), shape)):
        normal = np.stack([multipliers.level(FACTORS[factor], int(level)) for level in design.levels[factor]])
        deviations += normal.T @ influence
        own = np.square(influence).sum(axis=0)
        variance += own
        if shape[factor] > 2:  # the spread of two levels is an assumption, not an estimate
            spread += own**2 / (shape[factor] - 1)
    degrees = np.full(len(weights), MAX_DEGREES)
    np.divide(variance**2, spread, out=degrees, where=spread > 0.0)
    deviations *= _student_scale(multipliers, np.minimum(degrees, MAX_DEGREES))
    deviations += example_deviations(by_block @ weights.T, shares, multipliers, split)
    scale = np.maximum(np.maximum(weights, 0.0) @ squares, 0.0)
    return Sampled(weights @ squares, resample(weights @ squares, deviations, scale))


def mean_squares(means: FloatArray, shape: Shape) -> FloatArray:
    """Mean squares (..., 7) of ``EFFECTS`` from the means over pairs of students; linear.

    Args:
        means: (..., 2, 2, 2) of ``pair_means``, perhaps without one level of a factor; then the mean squares are those
            of the effects that involve this factor, in the units of the whole design.
        shape: levels of each factor in the whole design.

    Returns:
        Mean squares; 0 where a factor of the effect has one level.
    """
    flat = means.reshape(*means.shape[:-3], 8)
    return np.asarray(flat @ (_expectations(shape) @ _differences(shape)).T)


def statistic_weights(shape: Shape) -> FloatArray:
    """Weights (6, 7) that turn the mean squares into ``MEAN_SQUARE_STATISTICS``.

    ``inter``, the variance over the students with ddof = 0, is the sum of squares over all effects, divided by the
    number of students.
    """
    degrees = [np.prod([n - 1 for n, present in zip(shape, effect, strict=True) if present]) for effect in EFFECTS]
    main = [[effect == one for effect in EFFECTS] for one in ((1, 0, 0), (0, 1, 0), (0, 0, 1))]
    parts = np.array([np.ones(len(EFFECTS)), *main, [sum(effect) > 1 for effect in EFFECTS]], dtype=np.float64)
    components = parts @ np.linalg.inv(_expectations(shape))
    return np.concatenate([np.array([degrees]) / np.prod(shape), components])


def level_influences(gram: FloatArray, shape: Shape) -> list[FloatArray]:
    """Corrected jackknife deviations of the statistics, for each factor (levels, 6); they sum to 0 over levels.

    They are negative for levels that raise a statistic, as leaving such a level out lowers it; those of means over
    levels (``jackknife.sample_means``) have the other sign.

    With two levels the jackknife is blind, and the relative error of a mean square is assumed to be that of a variance
    with two degrees of freedom, as in ``component_influences``. One level has no influence.

    Args:
        gram: (students, students) in C order of ``shape``.
        shape: levels of response, initialisation and order.
    """
    weights = statistic_weights(shape)
    full = mean_squares(pair_means(gram, shape), shape)
    influences = []
    for factor, num_levels in enumerate(shape):
        moved = np.zeros((num_levels, len(EFFECTS)))
        if num_levels > 2:
            means = np.stack([pair_means(gram, shape, (factor, level)) for level in range(num_levels)])
            left_out = mean_squares(means, shape)
            moved = np.sqrt((num_levels - 2) / num_levels) * (left_out - left_out.mean(axis=0))
        elif num_levels == 2:
            moved = np.outer([1.0, -1.0], np.abs(full)) / np.sqrt(2.0)
        influences.append((moved * _shares(factor, shape)) @ weights.T)
    return influences


def _student_scale(multipliers: Multipliers, degrees: FloatArray) -> FloatArray:
    """Factors (num_bootstrap, statistics) that turn normal into Student's t deviations.

    All arms use the same quantiles of chi-square, whatever their degrees of freedom, so that replicates stay joint.
    """
    quantiles = stats.norm.cdf(multipliers.blocks("degrees of freedom", 1)[0])
    return np.asarray(np.sqrt(degrees / stats.chi2.ppf(quantiles[:, None], degrees)))


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
def _differences(shape: Shape) -> FloatArray:
    """Weights (7, 8) of the pairs' means in the effects' variances, by inclusion and exclusion of shared factors."""
    sets = list(itertools.product((0, 1), repeat=3))
    signs = np.array(
        [[(-1.0) ** sum(np.subtract(one, t)) if _within(t, one) else 0.0 for t in sets] for one in EFFECTS]
    )
    measurable = [all(n > 1 for n, present in zip(shape, one, strict=True) if present) for one in EFFECTS]
    return np.asarray(signs * np.array(measurable)[:, None])


def _within(first: Shape, second: Shape) -> bool:
    return all(a <= b for a, b in zip(first, second, strict=True))
