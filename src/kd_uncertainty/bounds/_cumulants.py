r"""The cumulant generating function of a law of finitely many values, and the supremum of ``2 CGF(l) / l^2``."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NEAR = 1e-3
"""|l| times the largest |value| below which the supremum is bounded by moments."""
_SERIES, _STEEP = 0.05, 30.0
"""Exponents below which exponentials are series, and above which sums of them are shifted."""
_TOLERANCE = 1e-6
"""Relative, of the supremum."""
_SMALLEST = 1e-140
"""Variances below are taken for it, so that squares of slopes do not overflow."""
_MAX_DEPTH = 60
_TILE = 1 << 16
"""Numbers of a temporary array, so that it stays in cache."""


def cumulants(values: Floats, weights: Floats, slopes: Floats) -> Floats:
    """``log E exp(l x)`` of centred values (m,) with weights (m,) at slopes l (s,); small results keep their digits."""
    step = max(_TILE // len(values), 1)
    parts = [_cumulants(values, weights, slopes[left : left + step]) for left in range(0, len(slopes), step)]
    return np.concatenate(parts)


def _cumulants(values: Floats, weights: Floats, slopes: Floats) -> Floats:
    result, steep = np.empty(len(slopes)), np.abs(slopes) * float(np.abs(values).max()) > _STEEP
    if steep.any():
        exponents = slopes[steep, None] * values
        shift = exponents.max(axis=1)
        result[steep] = shift + np.log(np.exp(exponents - shift[:, None]) @ weights)
    if not steep.all():  # the mean is 0, so that E exp(x) - 1 = E (exp(x) - 1 - x)
        result[~steep] = np.log1p(_rest(slopes[~steep, None] * values) @ weights)
    return result


def tilted_mean(values: Floats, weights: Floats, slope: float) -> float:
    """The mean of centred values under weights ~ w exp(l x); a small one keeps its digits."""
    exponents = slope * values
    if float(np.abs(exponents).max()) > _STEEP:
        tilted = weights * np.exp(exponents - exponents.max())
        return float(tilted @ values / tilted.sum())
    return float(weights @ (np.expm1(exponents) * values) / (1.0 + weights @ _rest(exponents)))


def largest_curvature(values: Floats, weights: Floats) -> float:
    r"""``sup_l 2 CGF(l) / l^2`` of a law with values (m,) and weights (m,): from above, by less than 1e-6 relative.

    A branch and bound over l. CGF is convex, so that over an interval it lies below its chord ``A + B l``, and
    ``2 (A + B l) / l^2`` is at most ``-B^2 / (2 A)``. Close to 0 moments bound it, and far out ``2 max(x) / l`` does.
    """
    centred = values - weights @ values
    scale = float(np.abs(centred).max())
    if scale <= 1e-15 * float(np.abs(values).max()):
        return 0.0
    unit = centred / scale  # within [-1, 1]
    return scale**2 * max(_one_sided(unit, weights), _one_sided(-unit, weights))


def _one_sided(values: Floats, weights: Floats) -> float:
    """The supremum over l > 0 for centred values within [-1, 1]."""
    variance = float(weights @ values**2)
    far = 2.0 / max(variance, _SMALLEST)
    best = max(_near_zero(values, weights, variance), 2.0 * float(values.max()) / far)
    edges = np.geomspace(_NEAR, far, 48)
    heights = cumulants(values, weights, edges)
    left, right, low, high = edges[:-1], edges[1:], heights[:-1], heights[1:]
    best = max(best, float((2.0 * heights / edges**2).max()))
    for _ in range(_MAX_DEPTH):
        bounds = _chord_bounds(left, right, low, high)
        open_ = bounds > best * (1.0 + _TOLERANCE)
        if not open_.any():
            return best * (1.0 + _TOLERANCE)
        left, right, low, high = left[open_], right[open_], low[open_], high[open_]
        middle = np.sqrt(left * right)
        height = cumulants(values, weights, middle)
        best = max(best, float((2.0 * height / middle**2).max()))
        left, right = np.concatenate([left, middle]), np.concatenate([middle, right])
        low, high = np.concatenate([low, height]), np.concatenate([height, high])
    return max(best * (1.0 + _TOLERANCE), float(_chord_bounds(left, right, low, high).max()))


def _near_zero(values: Floats, weights: Floats, variance: float) -> float:
    r"""An upper bound over 0 < l <= _NEAR: ``v + l m_3 / 3 + 2 l^2 m_4 phi(l)``, by ``log(1 + y) <= y``.

    ``(exp(x) - 1 - x - x^2 / 2 - x^3 / 6) / x^4`` rises with x and is at most phi(l) for x <= l, below 1/23.9.
    """
    third, fourth = float(weights @ values**3), float(weights @ values**4)
    return variance + max(_NEAR * third / 3.0, 0.0) + 2.0 * _NEAR**2 * fourth / 23.9


def _chord_bounds(left: Floats, right: Floats, low: Floats, high: Floats) -> Floats:
    """The largest of ``2 (A + B l) / l^2`` on every interval, of the chord from (left, low) to (right, high)."""
    slope = (high - low) / (right - left)
    intercept = np.minimum(low - slope * left, 0.0)
    ends = np.maximum(2.0 * low / left**2, 2.0 * high / right**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        peak = -2.0 * intercept / slope
        inner = -(slope**2) / (2.0 * intercept)
    return np.where((peak > left) & (peak < right), np.maximum(inner, ends), ends)


def _rest(x: Floats) -> Floats:
    """exp(x) - 1 - x; the series leaves out less than 1e-14 of it."""
    series = x * x * (0.5 + x * (1 / 6 + x * (1 / 24 + x * (1 / 120 + x * (1 / 720 + x * (1 / 5040 + x / 40320))))))
    return np.where(np.abs(x) < _SERIES, series, np.expm1(x) - x)
