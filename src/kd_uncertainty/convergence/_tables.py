"""What the tables of the linear world share."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from kd_uncertainty.convergence.world import Floats
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

NONE = Interval(math.nan, math.nan, math.nan)
"""Where there is nothing to measure."""


def columns(**intervals: Interval) -> dict[str, float]:
    """Return ``x``, ``x_lower`` and ``x_upper`` of every interval."""
    return {
        f"{name}{suffix}": bound
        for name, interval in intervals.items()
        for suffix, bound in zip(("", "_lower", "_upper"), interval, strict=True)
    }


def scaled(interval: Interval, factor: float) -> Interval:
    """The interval of a positive multiple."""
    return Interval(*(float(bound) * factor for bound in interval))


def jackknife(values: Floats, statistic: Callable[[Floats], float], confidence: float) -> Interval:
    """A smooth statistic of means over seeds, with Student's t interval of its pseudo-values (Tukey 1958).

    Args:
        values: (seeds, ...).
        statistic: from a mean (...) to a number.
        confidence: of the interval.
    """
    count, total = len(values), values.sum(axis=0)
    estimate = statistic(total / count)
    left_out = np.array([statistic((total - value) / (count - 1)) for value in values])
    _, lower, upper = student_mean(count * estimate - (count - 1) * left_out, confidence)
    centre = count * estimate - (count - 1) * float(left_out.mean())
    return Interval(estimate, estimate + lower - centre, estimate + upper - centre)
