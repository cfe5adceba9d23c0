"""The share of a gain that something else recovers: a ratio of two paired means of either sign."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

Floats = NDArray[np.float64]

NOTHING = Interval(math.nan, math.nan, math.nan)
"""The share of no gain."""


def is_clear(gain: Floats, confidence: float = 0.95) -> bool:
    """Whether the mean over students of a gain (students,) lies above 0 with its whole interval."""
    return student_mean(gain, confidence).lower > 0.0


def gain_share(part: Floats, whole: Floats, confidence: float = 0.95) -> Interval:
    r"""Return ``mean(part) / mean(whole)`` with the interval of Fieller (1954), "Some problems in interval estimation".

    The bounds are the theta with ``(a - theta b)^2 = t^2 (v_aa - 2 theta v_ab + theta^2 v_bb)``, for a, b the means
    of part and whole, v the covariances of these means, and t the quantile of Student's t with students - 1 degrees
    of freedom. They are finite because b is clear of 0; theta may be negative or above 1.

    Args:
        part: (students,) gains.
        whole: (students,) the gains of the same students whose mean is 1.
        confidence: of the interval, and of the claim that there is a gain at all.

    Returns:
        All NaN unless the whole gain :func:`is_clear`: of no gain there are no shares.

    Raises:
        ValueError: if the two differ in number, or confidence is not inside (0, 1).
    """
    if part.shape != whole.shape:
        raise ValueError(f"paired gains must be as many each, not of shapes {part.shape} and {whole.shape}")
    if not is_clear(whole, confidence):
        return NOTHING
    squared = float(stdtrit(len(whole) - 1, 0.5 + confidence / 2.0)) ** 2
    a, b = float(part.mean()), float(whole.mean())
    covariances = squared * np.cov(part, whole) / len(whole)
    quadratic, linear, constant = np.array([b * b, a * b, a * a]) - covariances[[1, 0, 0], [1, 1, 0]]
    root = math.sqrt(max(linear**2 - quadratic * constant, 0.0))
    return Interval(a / b, float((linear - root) / quadratic), float((linear + root) / quadratic))
