"""Influences of seed levels and examples on the statistics of one arm."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import xlogy

from kd_uncertainty.schemas import FACTORS
from kd_uncertainty.uncertainty.components import (
    COMPONENTS,
    CrossedDesign,
    block_edges,
    components_from_pairs,
    pair_means,
)
from kd_uncertainty.uncertainty.decomposition import FloatArray, entropy_terms, variance_decomposition
from kd_uncertainty.uncertainty.resampling import Multipliers, example_deviations, level_deviations, resample


class Sampled(NamedTuple):
    """Statistics with their bootstrap replicates.

    Attributes:
        estimates: (statistics,).
        replicates: (num_bootstrap, statistics).
    """

    estimates: FloatArray
    replicates: FloatArray


def component_influences(gram: FloatArray, shape: tuple[int, ...]) -> list[FloatArray]:
    r"""Corrected jackknife deviations of the components, for each factor (levels, 5).

    A main effect's estimate is built from contrasts between levels of its own factor, in which effects without that
    factor cancel; its slices over those levels are independent, so their jackknife alone sees its whole variance. An
    interaction is seen by the jackknife of each factor in it, two at least: the residual's deviations are divided by
    sqrt(2), exact for two-way interactions and conservative for the three-way one. Deviations add up as estimates do.

    With two levels the jackknife is blind: only one pair of levels is left to look at. Then the relative error is
    assumed to be that of a variance with two degrees of freedom, a standard deviation of 1 on the log scale; it is
    honest where the effect has an effective rank of 2 or more over examples and classes. With one level it is zero.

    Args:
        gram: (students, students) in C order of ``shape``.
        shape: levels of response, initialisation and order.
    """
    influences = []
    full = components_from_pairs(pair_means(gram, shape), shape)
    for factor, num_levels in enumerate(shape):
        deviations = np.zeros((num_levels, len(COMPONENTS)))
        main = 1 + factor
        if num_levels > 2:
            reduced = tuple(n - (axis == factor) for axis, n in enumerate(shape))
            means = np.stack([pair_means(gram, shape, (factor, level)) for level in range(num_levels)])
            left_out = components_from_pairs(means, reduced).estimates
            left_out = np.sqrt((num_levels - 2) / num_levels) * (left_out - left_out.mean(axis=0))
            deviations[:, main] = left_out[:, main]
            deviations[:, -1] = left_out[:, -1] / np.sqrt(2.0)
        elif num_levels == 2:
            contrast = np.array([1.0, -1.0]) / np.sqrt(2.0)
            deviations[:, main] = contrast * full.level_variance[factor]
            deviations[:, -1] = contrast * abs(full.estimates[-1]) / np.sqrt(2.0)
        deviations[:, 0] = deviations[:, main] + deviations[:, -1]
        influences.append(deviations)
    return influences


def sample_components(
    gram: FloatArray, shares: FloatArray, design: CrossedDesign, multipliers: Multipliers, split: str
) -> Sampled:
    """Estimates and replicates of ``COMPONENTS``.

    Args:
        gram: (blocks, students, students) of ``gram_matrices``.
        shares: (blocks,) share of the examples.
        design: the students' crossing.
        multipliers: the shared draws.
        split: name of the split.
    """
    shape = design.shape
    by_block = components_from_pairs(pair_means(gram, shape), shape)
    estimates = shares @ by_block.estimates
    level_variance = shares @ by_block.level_variance
    influences = component_influences(np.tensordot(shares, gram, axes=1), shape)
    deviations = level_deviations(influences, design, multipliers)
    deviations += example_deviations(by_block.estimates, shares, multipliers, split)
    varies = np.array([n > 1 for n in shape])
    scale = np.concatenate([estimates[:1], np.where(varies, level_variance, 0.0), estimates[:1]])
    estimates[1 : 1 + len(FACTORS)][~varies] = 0.0
    return Sampled(estimates, resample(estimates, deviations, np.maximum(scale, 0.0)))


DECOMPOSITIONS = ("total", "intra", "inter", "total_entropy", "intra_entropy", "inter_entropy")


def sample_decompositions(
    probabilities: FloatArray, design: CrossedDesign, multipliers: Multipliers, split: str, num_blocks: int
) -> Sampled:
    r"""Estimates and replicates of ``DECOMPOSITIONS``, averaged over examples.

    They describe a population of this size (ddof = 0). Their influences are derivatives with respect to the students'
    weights, averaged over the students of a level: ``-2 <mean p, p_s>`` (total), ``-|p_s|^2`` (intra), and the
    cross-entropy with the mean and the entropy of p_s for the entropy form. The inter-student parts are quadratic and
    get the jackknife's correction (n-1)/(n-2), or with two levels its stand-in. Intervals of the total and the intra
    part are too narrow where a factor has two levels, whose spread is one difference; they are conservative otherwise,
    because an interaction counts once for each of its factors.

    Args:
        probabilities: (students, examples, classes).
        design: the students' crossing.
        multipliers: the shared draws.
        split: name of the split.
        num_blocks: how many blocks of examples at most.
    """
    values = probabilities[design.rows]
    mean = values.mean(axis=0)
    own, cross = entropy_terms(values)
    squares = np.einsum("sec,sec->se", values, values)
    products = np.einsum("sec,ec->se", values, mean)
    variance = variance_decomposition(values)
    by_example = np.stack(
        [*variance, -xlogy(mean, mean).sum(axis=1), own.mean(axis=0), (cross - own).mean(axis=0)], axis=1
    )
    by_student = np.stack([-2.0 * products, -squares, squares - 2.0 * products, cross, own, cross - own], axis=2).mean(
        axis=1
    )
    return sample_means(Means(by_example, by_student, (2, 5)), design, multipliers, split, num_blocks)


class Means(NamedTuple):
    """Statistics that are means over examples, with their derivatives in the students' weights.

    Attributes:
        by_example: (examples, statistics).
        by_student: (students, statistics) in the design's order, each up to a constant.
        quadratic: which statistics are variances between students and get the jackknife's correction.
    """

    by_example: FloatArray
    by_student: FloatArray
    quadratic: tuple[int, ...]


def sample_means(means: Means, design: CrossedDesign, multipliers: Multipliers, split: str, num_blocks: int) -> Sampled:
    """Estimates and replicates of non-negative statistics of a population of this size.

    Args:
        means: the statistics.
        design: the students' crossing.
        multipliers: the shared draws.
        split: name of the split.
        num_blocks: how many blocks of examples at most.
    """
    by_example = means.by_example
    estimates = by_example.mean(axis=0)
    by_level = means.by_student.reshape(*design.shape, -1)
    influences = [
        _derivative_deviations(by_level, factor, estimates, list(means.quadratic)) for factor in range(len(FACTORS))
    ]
    edges = block_edges(len(by_example), num_blocks)
    shares = np.diff(edges) / len(by_example)
    by_block = np.add.reduceat(by_example, edges[:-1]) / np.diff(edges)[:, None]
    deviations = level_deviations(influences, design, multipliers)
    deviations += example_deviations(by_block, shares, multipliers, split)
    return Sampled(estimates, resample(estimates, deviations, np.maximum(estimates, 0.0)))


def _derivative_deviations(
    by_student: FloatArray, factor: int, estimates: FloatArray, quadratic: list[int]
) -> FloatArray:
    """Deviations (levels, statistics) of one factor from derivatives (response, initialisation, order, statistics)."""
    num_levels = by_student.shape[factor]
    means = by_student.mean(axis=tuple(axis for axis in range(3) if axis != factor))
    if num_levels == 1:
        return np.zeros_like(means)
    deviations: FloatArray = (means - means.mean(axis=0)) / np.sqrt(num_levels * (num_levels - 1))
    if num_levels > 2:
        deviations[:, quadratic] *= np.sqrt((num_levels - 1) / (num_levels - 2))
    else:
        deviations[:, quadratic] += np.outer([1.0, -1.0], estimates[quadratic]) / np.sqrt(2.0)
    return deviations
