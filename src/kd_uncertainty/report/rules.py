"""The rules by which claims are judged: ratios, slopes, trends, equalities and directions of estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np
from scipy import stats

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.wording import number, with_bounds

Verdict = Literal["holds", "holds in part", "does not hold", "not measured"]

MARGIN = 0.05
"""Two figures this close, as a share, are called equal even where a narrow interval tells them apart."""
RARE = 0.01
"""More misses than chance gives in this share of studies, and the equality does not hold."""
MONOTONE = 0.9
"""Spearman's rank correlation from which on a curve is called monotone."""
ZERO = 1e-12
"""A variance below this share of the largest one is rounding."""


def ratio(first: Estimate, second: Estimate) -> Estimate:
    """``first / second`` with an interval from the two intervals on the log scale (MOVER).

    log(lower) = log(r) - sqrt(log(first / first_lower)^2 + log(second_upper / second)^2), upper likewise. It errs wide
    where the two share their students. NaN where the second is not positive.
    """
    if not (first.known and second.known) or second.estimate <= 0.0 or first.estimate < 0.0:
        return NO_ESTIMATE
    if first.estimate == 0.0:
        return Estimate(0.0, 0.0, 0.0)
    centre = first.estimate / second.estimate
    below = math.hypot(_log(first.estimate, first.lower), _log(second.upper, second.estimate))
    above = math.hypot(_log(first.upper, first.estimate), _log(second.estimate, second.lower))
    return Estimate(centre, centre * math.exp(-below), centre * math.exp(above))


def _log(over: float, under: float) -> float:
    if math.isnan(over) or math.isnan(under):
        return math.nan
    return math.log(over / under) if under > 0.0 and over > 0.0 else math.inf


def log_slope(x: Sequence[float], values: Sequence[Estimate], confidence: float) -> Estimate:
    """The slope of log(value) against log(x) by least squares weighted with the intervals' widths.

    Its interval takes the points as independent: slope ± z sqrt(1 / sum_i w_i (log x_i - mean)^2), w_i = 1 / se_i^2.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2.0)
    points = [
        (math.log(at), math.log(value.estimate), math.log(value.upper / value.lower) / (2.0 * z))
        for at, value in zip(x, values, strict=True)
        if at > 0.0 and value.measured and value.lower > 0.0
    ]
    if len({at for at, _, _ in points}) < 2:
        return NO_ESTIMATE
    at, log, error = np.array(points).T
    weight = 1.0 / np.maximum(error, 1e-12) ** 2
    centre = at - np.average(at, weights=weight)
    spread = float(np.sum(weight * centre**2))
    slope = float(np.sum(weight * centre * log)) / spread
    return Estimate(slope, slope - z / math.sqrt(spread), slope + z / math.sqrt(spread))


@dataclass(frozen=True)
class Trend:
    """How a curve goes: its rank correlation with x, and its last value over its first positive one."""

    spearman: float
    change: Estimate
    num_points: int

    def verdict(self, *, rises: bool) -> Verdict:
        """Monotone by `MONOTONE`, and the interval of the change leaves 1 out on the right side."""
        if self.num_points < 2 or not self.change.measured:
            return "not measured"
        rho, change = (self.spearman, self.change) if rises else (-self.spearman, inverse(self.change))
        if change.lower > 1.0 and rho >= MONOTONE:
            return "holds"
        return "holds in part" if change.lower > 1.0 else "does not hold"

    def text(self) -> str:
        """``x 12.1 [10.2, 14.0], rank correlation 1.00``."""
        return f"× {with_bounds(self.change)}, rank correlation {number(self.spearman, 2)}"


def inverse(value: Estimate) -> Estimate:
    """1 / value."""
    ends = (1.0 / end if end > 0.0 else math.inf for end in (value.estimate, value.upper, value.lower))
    return Estimate(*ends)


def trend(x: Sequence[float], values: Sequence[Estimate]) -> Trend:
    """The trend of a curve; what is zero to rounding counts in the ranks and not in the change."""
    pairs = sorted((at, value) for at, value in zip(x, values, strict=True) if value.known and not math.isnan(at))
    if len(pairs) < 2:
        return Trend(math.nan, NO_ESTIMATE, len(pairs))
    heights = [value.estimate for _, value in pairs]
    if min(heights) == max(heights):
        return Trend(0.0, NO_ESTIMATE, len(pairs))
    spearman = float(stats.spearmanr([at for at, _ in pairs], heights).statistic)
    positive = [value for _, value in pairs if value.estimate > ZERO * max(heights)]
    change = ratio(positive[-1], positive[0]) if len(positive) > 1 else NO_ESTIMATE
    return Trend(spearman, change, len(pairs))


def equality(inside: int, close: int, count: int, confidence: float) -> Verdict:
    """Whether figures equal a law: by how many intervals contain it, or by how close all of them are.

    Args:
        inside: Intervals that contain the law's value.
        close: Figures within `MARGIN` of it.
        count: Figures.
        confidence: The intervals' level; misses are binomial with 1 - confidence under the law.
    """
    if count == 0:
        return "not measured"
    misses = count - inside
    if close == count or stats.binom.sf(misses - 1, count, 1.0 - confidence) > RARE:
        return "holds"
    return "holds in part" if inside + close > 0 and 2 * max(inside, close) >= count else "does not hold"


def direction(right: int, wrong: int, count: int, confidence: float) -> Verdict:
    """Whether a direction shows: measurably right in (nearly) all cells, in some, or in none.

    Nearly all: as many as ``confidence``, and none measurably the other way.
    """
    if count == 0:
        return "not measured"
    if right >= math.floor(confidence * count) and right > 0 and wrong == 0:
        return "holds"
    return "holds in part" if right > wrong else "does not hold"


@dataclass(frozen=True)
class Sides:
    """On which side of a value intervals lie: how many below, above, and on both."""

    below: int
    above: int
    open: int
    middle: float
    least: float
    most: float

    @property
    def count(self) -> int:
        """How many intervals."""
        return self.below + self.above + self.open

    def text(self, value: str = "1") -> str:
        """``median 0.52 (0.31 to 0.98); below 1 in 10, above in 0, not told apart in 2 of 12``."""
        if not self.count:
            return "n/a"
        middle, least, most = (number(figure, 3) for figure in (self.middle, self.least, self.most))
        return (
            f"median {middle} ({least} to {most}); below {value} in {self.below}, above in {self.above}, not told "
            f"apart in {self.open} of {self.count}"
        )


def sides(values: Sequence[Estimate], value: float = 1.0) -> Sides:
    """On which side of ``value`` the intervals lie; figures without an interval are left out."""
    known = [figure for figure in values if figure.measured]
    if not known:
        return Sides(0, 0, 0, math.nan, math.nan, math.nan)
    below = sum(figure.upper < value for figure in known)
    above = sum(figure.lower > value for figure in known)
    heights = [figure.estimate for figure in known]
    return Sides(below, above, len(known) - below - above, float(np.median(heights)), min(heights), max(heights))


def contains(figure: Estimate, value: float) -> bool:
    """Whether the interval contains a value, to rounding."""
    room = 1e-9 * max(abs(value), abs(figure.estimate))
    return figure.lower - room <= value <= figure.upper + room


def is_close(figure: Estimate, value: float) -> bool:
    """Whether the figure lies within `MARGIN` of a value."""
    return abs(figure.estimate - value) <= MARGIN * abs(value)
