r"""Bootstrap replicates over seed levels and examples for students in a crossed design.

Drawing levels with replacement fails for the three levels that a population can afford: a level drawn twice looks like
zero variance. Here each statistic is perturbed by its jackknife influences times random multipliers, the jackknife
multiplier bootstrap of U-statistics (Chen & Kato 2020). The units are the levels of each factor and the examples (never
the students, which share levels), the statistics are means over pairs of different levels, and

``delta_b = sum_f tau_fb sum_l xi_flb d_fl + sum_e xi_eb d_e``, ``theta_b = V exp(delta_b / V) - c``, ``c = V - theta``

with standard normal multipliers xi. Small samples are corrected twice:

- for n levels, ``d_l = sqrt((n-2)/n) (theta_(-l) - mean theta_(-.))``: the jackknife variance of an estimated Gaussian
  variance is too large by (n-1)/(n-2) exactly, in any dimension;
- ``tau^2 = (n-1) / chi2_{n-1}``, so that the interval of one factor has Student's t quantiles.

V is the statistic's non-negative mean square (see ``resample``): its sampling law is close to chi-square, hence the log
scale. Multipliers are functions of (seed, factor, level's seed), so arms that share levels share them: replicates of
several arms are joint, and functions of several arms can be resampled.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

from kd_uncertainty.schemas import FACTORS
from kd_uncertainty.uncertainty.components import CrossedDesign
from kd_uncertainty.uncertainty.decomposition import FloatArray

MAX_LOG_DEVIATION = 12.0
"""Replicates stay within exp(+-12) of the estimate: beyond it only overflow is gained."""


def _generator(seed: int, *words: str | int) -> np.random.Generator:
    key = [zlib.crc32(word.encode()) if isinstance(word, str) else int(word) for word in words]
    return np.random.default_rng(np.random.SeedSequence([seed, *key]))


class Multipliers:
    """Source of the shared random multipliers; equal arguments give equal draws.

    Args:
        num_bootstrap: replicates.
        seed: root of all draws.
    """

    def __init__(self, num_bootstrap: int, seed: int) -> None:
        self.num_bootstrap = num_bootstrap
        self.seed = seed
        self._drawn: dict[tuple[str | int, ...], FloatArray] = {}

    def level(self, factor: str, level: int) -> FloatArray:
        """(num_bootstrap,) standard normal multipliers of one seed level."""
        return self._normal(factor, "level", level)

    def scale(self, factor: str, num_levels: int) -> FloatArray:
        """(num_bootstrap,) factors tau that turn normal into Student's t quantiles with num_levels - 1 degrees.

        They are 1 for two levels, where the spread is an assumption and not an estimate.
        """
        degrees = num_levels - 1
        if degrees < 2:
            return np.ones(self.num_bootstrap)
        key = (factor, "scale", num_levels)
        if key not in self._drawn:
            chi_square = _generator(self.seed, *key).chisquare(degrees, self.num_bootstrap)
            self._drawn[key] = np.asarray(np.sqrt(degrees / chi_square))
        return self._drawn[key]

    def blocks(self, split: str, num_blocks: int) -> FloatArray:
        """(num_blocks, num_bootstrap) standard normal multipliers of a split's blocks of examples."""
        key = (split, "examples", num_blocks)
        if key not in self._drawn:
            self._drawn[key] = _generator(self.seed, *key).standard_normal((num_blocks, self.num_bootstrap))
        return self._drawn[key]

    def _normal(self, *key: str | int) -> FloatArray:
        if key not in self._drawn:
            self._drawn[key] = _generator(self.seed, *key).standard_normal(self.num_bootstrap)
        return self._drawn[key]


def level_deviations(influences: Sequence[FloatArray], design: CrossedDesign, multipliers: Multipliers) -> FloatArray:
    """Random deviations that the choice of seed levels causes.

    Args:
        influences: for each factor (levels, statistics) deviations d; they sum to 0 over levels. None is read of a
            factor with one level.
        design: the students' crossing.
        multipliers: the shared draws.

    Returns:
        (num_bootstrap, statistics).
    """
    total = np.zeros((multipliers.num_bootstrap, influences[0].shape[1]))
    for factor, levels, deviation in zip(FACTORS, design.levels, influences, strict=True):
        if len(levels) > 1:
            normal = np.stack([multipliers.level(factor, int(level)) for level in levels])
            scale = multipliers.scale(factor, len(levels))
            total += (normal.T @ deviation) * scale[:, None]
    return total


def example_deviations(values: FloatArray, shares: FloatArray, multipliers: Multipliers, split: str) -> FloatArray:
    """Random deviations that the choice of examples causes.

    Args:
        values: (blocks, statistics) each block's mean of a statistic that is a mean over examples.
        shares: (blocks,) share of the examples.
        multipliers: the shared draws.
        split: examples of one split share their multipliers across arms.

    Returns:
        (num_bootstrap, statistics).
    """
    num_blocks = len(shares)
    if num_blocks == 1:
        return np.zeros((multipliers.num_bootstrap, values.shape[1]))
    deviation = shares[:, None] * (values - shares @ values) * np.sqrt(num_blocks / (num_blocks - 1))
    return np.asarray(multipliers.blocks(split, num_blocks).T @ deviation)


def resample(estimates: FloatArray, deviations: FloatArray, scale: FloatArray) -> FloatArray:
    """Replicates of statistics on the logarithmic scale of their mean squares.

    ``V exp(delta / V) - (V - theta)``: deviations are additive where they are small and skewed as those of a variance
    where they are not. A statistic with V = 0 does not vary.

    Args:
        estimates: (statistics,) theta.
        deviations: (num_bootstrap, statistics) delta.
        scale: (statistics,) V >= 0.

    Returns:
        (num_bootstrap, statistics).
    """
    positive = scale > 0.0
    safe = np.where(positive, scale, 1.0)
    exponent = np.clip(deviations / safe, -MAX_LOG_DEVIATION, MAX_LOG_DEVIATION)
    return np.asarray(np.where(positive, estimates + safe * np.expm1(exponent), estimates))


def interval(replicates: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Equal-tailed quantiles of replicates over the first axis; replicates that are NaN do not count."""
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.nanquantile(replicates, [tail, 1.0 - tail], axis=0)
    return lower, upper
