r"""Variance of answers within and between students, unbiased and with intervals over prompts and students.

Of student s and a prompt, ``m_s`` is the mean of M sampled answers and ``v_s`` the unbiased variance of one. A mean
varies by ``v_s / M`` from sampling alone, so the inner products of students' means, ``G_st = <m_s - m, m_t - m>``, are
right up to ``v_s / M`` on the diagonal. Taken off there,

    inter = mean over pairs: E G_ss - E G_st,    intra = E v_s,    total = intra + inter

are free of bias in any crossing of seeds, and so are the components of response, initialisation and order
(``uncertainty.components``): for a student with fresh seeds, asked once. The total is the mean of ``|e - e'|^2 / 2``
over answers of students that share no seed.

Intervals are those of ``uncertainty.resampling``: the units are levels of seeds (jackknife influences with Student's t
tails) and prompts, on the logarithmic scale of the mean squares with the sampling noise in them, so that they do not
collapse where hardly anything but noise is left. Prompts and levels both count what is their interaction's, so that
intervals are too wide where students differ by that alone, as they do when each prompt's responses are independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from kd_uncertainty.language.measures import Floats, Moments
from kd_uncertainty.uncertainty.arms import num_gram_blocks
from kd_uncertainty.uncertainty.components import CrossedDesign, block_edges, pair_means
from kd_uncertainty.uncertainty.mean_squares import level_influences, mean_squares, statistic_weights
from kd_uncertainty.uncertainty.resampling import (
    Multipliers,
    example_deviations,
    interval,
    level_deviations,
    resample,
)

STATISTICS = ("intra", "inter", "inter_response", "inter_initialisation", "inter_order", "total")
_OF_MEAN_SQUARES = slice(1, 5)  # inter_unbiased, response, initialisation, order


class Interval(NamedTuple):
    """An estimate with its bounds."""

    estimate: float
    lower: float
    upper: float


class Spread(NamedTuple):
    """Inner products of students' mean answers, in blocks of prompts.

    Attributes:
        gram: (blocks, students, students) of means about the students' mean, a mean over the block's prompts.
        variance: (blocks, students) of one answer, a mean over the block's prompts.
        shares: (blocks,) share of the prompts.
        samples: answers of a student to a prompt.
    """

    gram: Floats
    variance: Floats
    shares: Floats
    samples: int


def collect(moments: Iterable[Moments], num_prompts: int, num_students: int, samples: int) -> Spread:
    """Add up what prompts have, one after the other.

    Args:
        moments: of every prompt, students in the order of the design.
        num_prompts: how many there are.
        num_students: how many students.
        samples: answers of a student to a prompt.
    """
    edges = block_edges(num_prompts, num_gram_blocks(num_students))
    sizes = np.diff(edges)
    gram = np.zeros((len(sizes), num_students, num_students))
    variance = np.zeros((len(sizes), num_students))
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    for block, one in zip(blocks, moments, strict=True):
        centred = one.means - one.means.mean(axis=0)
        gram[block] += centred @ centred.T
        variance[block] += one.variance
    return Spread(gram / sizes[:, None, None], variance / sizes[:, None], sizes / num_prompts, samples)


def components(
    spread: Spread, design: CrossedDesign, multipliers: Multipliers, split: str, confidence: float
) -> dict[str, Interval]:
    """Return ``STATISTICS`` with intervals; NaN where a factor, or all of them together, has one level.

    Args:
        spread: of ``collect``.
        design: the students' crossing.
        multipliers: the shared draws.
        split: splits have draws of their own.
        confidence: of the intervals.
    """
    shape, shares = design.shape, spread.shares
    places = np.arange(len(design.rows))
    noiseless = spread.gram.copy()
    noiseless[:, places, places] -= spread.variance / spread.samples
    weights = statistic_weights(shape)[_OF_MEAN_SQUARES]
    between = mean_squares(pair_means(noiseless, shape), shape) @ weights.T
    by_block = np.concatenate([spread.variance.mean(axis=1)[:, None], between], axis=1)
    noisy = shares @ mean_squares(pair_means(spread.gram, shape), shape)
    estimates = shares @ by_block
    scale = np.concatenate([estimates[:1], np.maximum(np.maximum(weights, 0.0) @ noisy, 0.0)])
    influences = _influences(spread, noiseless, shape)
    deviations = level_deviations(influences, design, multipliers)
    deviations += prompt_deviations(by_block, shares, multipliers, split)
    replicates = resample(*(_with_total(values) for values in (estimates, deviations, scale)))
    lower, upper = interval(replicates, confidence)
    known = [True, max(shape) > 1, *(levels > 1 for levels in shape), max(shape) > 1]
    ends = np.where(known, [_with_total(estimates), lower, upper], np.nan)
    return {name: Interval(*map(float, ends[:, place])) for place, name in enumerate(STATISTICS)}


def mean_variance(by_prompt: Floats, multipliers: Multipliers, split: str, confidence: float) -> Interval:
    """Return the mean of variances over prompts, (prompts,), with an interval over prompts.

    The draws to different prompts are independent, so that resampling prompts covers the draws as well.
    """
    edges = block_edges(len(by_prompt), num_gram_blocks(1))
    sizes = np.diff(edges)
    blocks, shares = (np.add.reduceat(by_prompt, edges[:-1]) / sizes)[:, None], sizes / len(by_prompt)
    estimates = shares @ blocks
    deviations = prompt_deviations(blocks, shares, multipliers, split)
    lower, upper = interval(resample(estimates, deviations, np.maximum(estimates, 0.0)), confidence)
    return Interval(float(estimates[0]), float(lower[0]), float(upper[0]))


def prompt_deviations(by_block: Floats, shares: Floats, multipliers: Multipliers, split: str) -> Floats:
    """Random deviations (replicates, statistics) that the choice of prompts causes, with Student's t tails."""
    deviations = example_deviations(by_block, shares, multipliers, split)
    return np.asarray(deviations * multipliers.scale(f"{split} prompts", len(shares))[:, None])


def _influences(spread: Spread, noiseless: Floats, shape: tuple[int, ...]) -> list[Floats]:
    """Deviations (levels, statistics but the total) of every factor, with the sign that leaving out a level has.

    Of two levels they are an assumption about the size of a mean square, which is the one with noise in it.
    """
    own, with_noise = (
        level_influences(np.tensordot(spread.shares, gram, axes=1), shape) for gram in (noiseless, spread.gram)
    )
    by_student = (spread.shares @ spread.variance).reshape(shape)
    found = []
    for factor, levels in enumerate(shape):
        between = (with_noise if levels == 2 else own)[factor][:, _OF_MEAN_SQUARES]
        means = by_student.mean(axis=tuple(axis for axis in range(3) if axis != factor))
        within = (means.mean() - means) / np.sqrt(max(levels * (levels - 1), 1))
        found.append(np.concatenate([within[:, None], between], axis=1))
    return found


def _with_total(values: Any) -> Floats:
    """Append intra + inter on the last axis."""
    return np.concatenate([values, values[..., :1] + values[..., 1:2]], axis=-1)
