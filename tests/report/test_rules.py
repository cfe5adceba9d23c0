"""The rules of verdicts: against closed forms, Monte Carlo and their edges."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.rules import contains, direction, equality, inverse, log_slope, ratio, sides, trend


def around(value: float, share: float = 0.1) -> Estimate:
    return Estimate(value, value * (1 - share), value * (1 + share))


def test_a_ratio_of_a_sure_denominator_keeps_the_interval():
    sure = Estimate(2.0, 2.0, 2.0)
    assert ratio(Estimate(6.0, 4.0, 9.0), sure) == pytest.approx((3.0, 2.0, 4.5))
    assert inverse(Estimate(3.0, 2.0, 4.5)) == pytest.approx((1 / 3, 1 / 4.5, 1 / 2))


def test_a_ratio_of_independent_log_normals_covers():
    rng = np.random.default_rng(0)
    first, second = (2.0 * np.exp(rng.normal(0.0, error, 4000)) for error in (0.1, 0.2))
    inside = 0
    for one, other in zip(first, second, strict=True):
        bounds = [Estimate(v, v * math.exp(-1.96 * e), v * math.exp(1.96 * e)) for v, e in ((one, 0.1), (other, 0.2))]
        inside += contains(ratio(*bounds), 1.0)
    assert inside / 4000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 4000))


def test_ratios_of_nothing():
    assert ratio(Estimate(0.0, 0.0, 0.0), around(1.0)) == (0.0, 0.0, 0.0)
    assert not ratio(around(1.0), Estimate(0.0, 0.0, 0.0)).known
    assert not ratio(Estimate(*[math.nan] * 3), around(1.0)).known
    assert ratio(Estimate(1.0, 0.0, 2.0), around(1.0)).lower == 0.0


def test_the_slope_of_a_power_is_its_exponent():
    k = [1, 2, 4, 8, 16]
    slope = log_slope(k, [around(100.0 / n**1.3) for n in k], 0.95)
    assert slope.estimate == pytest.approx(-1.3)
    assert slope.lower < -1.3 < slope.upper


def test_the_interval_of_a_slope_covers():
    rng = np.random.default_rng(1)
    k, error, repetitions = np.array([1, 2, 4, 8, 16]), 0.05, 3000
    inside = 0
    for _ in range(repetitions):
        values = 7.0 / k * np.exp(rng.normal(0.0, error, len(k)))
        points = [Estimate(v, v * math.exp(-1.96 * error), v * math.exp(1.96 * error)) for v in values]
        inside += contains(log_slope(k, points, 0.95), -1.0)
    assert inside / repetitions == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / repetitions))


def test_a_slope_needs_two_points_with_bounds():
    assert not log_slope([1, 2], [around(1.0), Estimate(1.0, math.nan, math.nan)], 0.95).known


@pytest.mark.parametrize(
    ("values", "rises", "verdict"),
    [
        ([1.0, 2.0, 4.0], True, "holds"),
        ([0.0, 2.0, 4.0], True, "holds"),
        ([4.0, 2.0, 1.0], True, "does not hold"),
        ([4.0, 2.0, 1.0], False, "holds"),
        ([1.0, 1.01, 1.02], True, "does not hold"),  # within the intervals
        ([1.0, 4.0, 2.0, 3.0], True, "holds in part"),  # grows, but not monotonically
        ([1.0], True, "not measured"),
        ([0.0, 0.0, 0.0], True, "not measured"),
    ],
)
def test_trends(values, rises, verdict):
    found = trend(range(len(values)), [around(value) for value in values])
    assert found.verdict(rises=rises) == verdict


def test_a_trend_leaves_missing_figures_out():
    values = [around(1.0), Estimate(*[math.nan] * 3), around(3.0)]
    found = trend([1, 2, math.nan], values)
    assert found.num_points == 1
    assert trend([1, 2, 3], values).change.estimate == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("inside", "close", "count", "verdict"),
    [
        (20, 0, 20, "holds"),
        (19, 0, 20, "holds"),  # one of twenty misses by chance
        (12, 0, 20, "holds in part"),
        (3, 20, 20, "holds"),  # narrow intervals, all within the margin
        (2, 3, 20, "does not hold"),
        (0, 0, 20, "does not hold"),
        (0, 0, 0, "not measured"),
    ],
)
def test_equality(inside, close, count, verdict):
    assert equality(inside, close, count, 0.95) == verdict


@pytest.mark.parametrize(
    ("right", "wrong", "count", "verdict"),
    [
        (10, 0, 10, "holds"),
        (19, 0, 20, "holds"),
        (18, 2, 20, "holds in part"),
        (5, 0, 20, "holds in part"),
        (0, 0, 20, "does not hold"),
        (1, 9, 20, "does not hold"),
        (0, 0, 0, "not measured"),
    ],
)
def test_direction(right, wrong, count, verdict):
    assert direction(right, wrong, count, 0.95) == verdict


def test_sides_count_what_has_an_interval():
    found = sides([around(0.5), around(2.0), around(1.0), Estimate(0.1, math.nan, math.nan)])
    assert (found.below, found.above, found.open, found.count) == (1, 1, 1, 3)
    assert (found.middle, found.least, found.most) == (1.0, 0.5, 2.0)
    assert sides([]).text() == "n/a"
