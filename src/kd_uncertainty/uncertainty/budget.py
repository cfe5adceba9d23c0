r"""How inter-student variance falls with the number of averaged responses, and how many responses are enough.

``Var(k) = a / k + b``: a is the variance that one response causes, b the floor of initialisation and order
(Cui & Pei 2026, section 7, where b = 0 because the students are linear).
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.resampling import interval

ROUNDING = 1e-12
"""A fitted a or b below this share of the curve's largest value is rounding, not variance."""
UNBOUNDED = math.inf
"""Recommended number of responses where there is no floor: the response share is 1 at every k."""
MAX_ITERATIONS = 200


class Curve(NamedTuple):
    """Var(k) = response_variance / k + floor."""

    response_variance: FloatArray
    floor: FloatArray


class Interval(NamedTuple):
    """An estimate with its confidence bounds."""

    estimate: float
    lower: float
    upper: float


class ResponseBudget(NamedTuple):
    """The fitted curve of one teacher and target.

    Attributes:
        response_variance: a.
        floor: b.
        slope: log-log slope of the response component in k; -1 if responses average out independently.
        num_slope_points: how many k had a positive response component.
        recommended_num_responses: smallest k whose response share is below the threshold; ``UNBOUNDED`` without floor.
    """

    response_variance: Interval
    floor: Interval
    slope: Interval
    num_slope_points: int
    recommended_num_responses: Interval


def fit_curve(num_responses: NDArray[Any], variance: FloatArray) -> Curve:
    r"""Fit Var(k) = a/k + b with a, b >= 0 and errors in proportion to the fitted value.

    Iteratively reweighted least squares with weights 1 / fitted^2 (the gamma quasi-likelihood), each step the exact
    non-negative solution.

    Args:
        num_responses: (points,) at least two different k.
        variance: (..., points); leading axes are separate curves.

    Returns:
        a and b with the leading shape of ``variance``.

    Raises:
        ValueError: fewer than two different k, which cannot separate a from b.
    """
    values = np.asarray(variance, dtype=np.float64)
    if len(np.unique(num_responses)) < 2:
        raise ValueError("a and b of Var(k) = a/k + b need at least two different numbers of responses")
    x = 1.0 / np.asarray(num_responses, dtype=np.float64)
    # Curves are scaled to 1 so that weights neither overflow nor vanish.
    size = np.abs(values).max(axis=-1, keepdims=True)
    size = np.where(size > 0.0, size, 1.0)
    y = values / size
    fitted = np.maximum(y, 1e-3)
    for _ in range(MAX_ITERATIONS):
        slope, floor = _non_negative_line(x, y, 1.0 / fitted**2)
        update = np.maximum(slope[..., None] * x + floor[..., None], 1e-9)
        done = np.allclose(update, fitted, rtol=1e-13, atol=0.0)
        fitted = update
        if done:
            break
    slope, floor = (np.where(part < ROUNDING, 0.0, part) for part in (slope, floor))
    return Curve(slope * size[..., 0], floor * size[..., 0])


def _non_negative_line(x: FloatArray, y: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Weighted non-negative least squares of y = slope x + floor in closed form, over the last axis."""
    total = weights.sum(axis=-1)
    centre = (weights * x).sum(axis=-1) / total
    mean = (weights * y).sum(axis=-1) / total
    centred = x - centre[..., None]
    slope = (weights * centred * y).sum(axis=-1) / (weights * centred**2).sum(axis=-1)
    floor = mean - slope * centre
    # The problem is convex: where the free solution leaves the quadrant, the better of the two edges is the solution.
    x_squares = (weights * x**2).sum(axis=-1)
    no_floor = np.maximum((weights * x * y).sum(axis=-1) / x_squares, 0.0)
    no_slope = np.maximum(mean, 0.0)
    free = (slope >= 0.0) & (floor >= 0.0)
    on_slope = no_floor**2 * x_squares >= no_slope**2 * total
    return (
        np.where(free, slope, np.where(on_slope, no_floor, 0.0)),
        np.where(free, floor, np.where(on_slope, 0.0, no_slope)),
    )


def recommended_num_responses(response_variance: float, floor: float, threshold: float) -> float:
    """Smallest whole k >= 1 with (a/k) / (a/k + b) < threshold.

    That is ``floor(a (1 - t) / (t b)) + 1``, in exact rational arithmetic so that a share equal to the threshold does
    not count as below it.

    Args:
        response_variance: a >= 0.
        floor: b >= 0.
        threshold: t in (0, 1).

    Returns:
        k, or ``UNBOUNDED`` if b = 0 < a: then the share is 1 whatever k. It is 1 if a = 0.
    """
    if response_variance == 0.0:
        return 1.0
    if floor == 0.0:
        return UNBOUNDED
    a, b, t = Fraction(response_variance), Fraction(floor), Fraction(threshold)
    return float(math.floor(a * (1 - t) / (t * b)) + 1)


def log_slope(num_responses: NDArray[Any], variance: FloatArray, weights: FloatArray) -> FloatArray:
    """Weighted least-squares slope of log variance in log k; points that are not positive are left out.

    Args:
        num_responses: (points,).
        variance: (..., points).
        weights: (points,) inverse variances of the logarithms.

    Returns:
        (...) slopes; NaN with fewer than two positive points at different k.
    """
    positive = variance > 0.0
    use = np.where(positive, weights, 0.0)
    x = np.log(np.asarray(num_responses, dtype=np.float64))
    y = np.log(np.where(positive, variance, 1.0))
    total = use.sum(axis=-1)
    centre = (use * x).sum(axis=-1) / np.where(total > 0.0, total, 1.0)
    centred = x - centre[..., None]
    spread = (use * centred**2).sum(axis=-1)
    determined = spread > 1e-12 * np.where(total > 0.0, total, 1.0)
    return np.where(determined, (use * centred * y).sum(axis=-1) / np.where(determined, spread, 1.0), np.nan)


def fit_response_budget(
    num_responses: NDArray[Any],
    inter_unbiased: FloatArray,
    response: FloatArray,
    inter_replicates: FloatArray,
    response_replicates: FloatArray,
    threshold: float,
    confidence: float,
) -> ResponseBudget:
    """Fit one teacher's curve with intervals from joint replicates.

    Args:
        num_responses: (points,) the grid of k.
        inter_unbiased: (points,) inter-student variance, squared probability.
        response: (points,) its response component.
        inter_replicates: (num_bootstrap, points) joint over k.
        response_replicates: (num_bootstrap, points) joint over k.
        threshold: share of the response in inter-student variance below which responses are enough.
        confidence: of all intervals.

    Returns:
        Estimates with quantiles of the replicates; those of the recommended number are whole, rounded outwards.

    Raises:
        ValueError: fewer than two different k.
    """
    curve = fit_curve(num_responses, inter_unbiased)
    replicates = fit_curve(num_responses, inter_replicates)
    weights = _log_weights(response, response_replicates)
    slopes = log_slope(num_responses, response_replicates, weights)
    recommended = np.array(
        [recommended_num_responses(a, b, threshold) for a, b in zip(*map(np.ravel, replicates), strict=True)]
    )
    tail = (1.0 - confidence) / 2.0
    return ResponseBudget(
        _interval(curve.response_variance, replicates.response_variance, confidence),
        _interval(curve.floor, replicates.floor, confidence),
        _interval(log_slope(num_responses, response, weights), slopes, confidence),
        int((response > 0.0).sum()),
        Interval(
            recommended_num_responses(float(curve.response_variance), float(curve.floor), threshold),
            float(np.quantile(recommended, tail, method="lower")),
            float(np.quantile(recommended, 1.0 - tail, method="higher")),
        ),
    )


def _log_weights(values: FloatArray, replicates: FloatArray) -> FloatArray:
    """Inverse variances of log values; the replicates' tails are heavy, so from their central 68 %."""
    lower, upper = np.quantile(replicates, [0.16, 0.84], axis=0)
    spread = (upper - lower) / 2.0
    if not (spread > 0.0).all():
        return np.ones_like(values)
    return np.asarray((np.maximum(values, 0.0) / spread) ** 2)


def _interval(estimate: FloatArray, replicates: FloatArray, confidence: float) -> Interval:
    if np.isnan(replicates).all():
        return Interval(float(estimate), math.nan, math.nan)
    lower, upper = interval(replicates, confidence)
    return Interval(float(estimate), float(lower), float(upper))
