"""How figures in the target's own units are written: digits follow the interval's width, not the decimal point."""

from __future__ import annotations

import math

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.wording import MINUS, number

MODEL_NAMES = {"linear": "linear", "network": "network", "logistic": "logistic"}
LABEL_NAMES = {"teacher": "teacher labels", "ground_truth": "ground truth"}
METHOD_NAMES = {
    "average": "average",
    "inverse_variance_oracle": "inverse variance, oracle",
    "inverse_variance_estimated": "inverse variance, estimated",
    "blue": "BLUE",
    "pilot": "pilot alone",
}
METHODS = tuple(METHOD_NAMES)
STUDENT_TARGETS = {"argmax": "argmax labels", "label": "sampled labels", "soft": "soft labels"}
METRIC_NAMES = {
    "mse": "MSE",
    "mae": "MAE",
    "r2": "R²",
    "mse_to_teacher": "MSE to the teacher",
    "residual_variance": "residual variance",
}
DIGITS = 4
"""Significant digits of a figure without interval."""
MOST_DIGITS = 5
"""Significant digits of a figure with a narrow interval."""


def places_of(estimate: Estimate) -> int:
    """Decimals that show two digits of the interval's width, or `DIGITS` digits of a figure without interval.

    Never more than `MOST_DIGITS` digits of the figure, however narrow the interval.
    """
    width, size = estimate.upper - estimate.lower, abs(estimate.estimate)
    if math.isfinite(width) and width > 0.0:
        needed = 1 - math.floor(math.log10(width))
        most = 9 if size == 0.0 or not math.isfinite(size) else MOST_DIGITS - 1 - math.floor(math.log10(size))
        return min(max(min(needed, most), 0), 9)
    return 3 if not math.isfinite(size) or size == 0.0 else min(max(DIGITS - 1 - math.floor(math.log10(size)), 0), 9)


def value_text(value: float | None, places: int | None = None) -> str:
    """``2,893``, ``0.0123``, ``3.1e-09``: a figure of any size, with thousands separated."""
    if value is None or not math.isfinite(value):
        return number(value)
    shown = places_of(Estimate(value, math.nan, math.nan)) if places is None else places
    if value != 0.0 and abs(value) < 10.0**-6:
        return f"{value:.1e}".replace("-", MINUS)
    text = f"{abs(value):,.{shown}f}"
    return (MINUS if value < 0.0 and float(text.replace(",", "")) != 0.0 else "") + text


def with_bounds(estimate: Estimate, places: int | None = None) -> str:
    """``2,893 [2,801, 2,990]``; the interval is left out where it was not measured."""
    shown = places_of(estimate) if places is None else places
    head, low, high = (value_text(value, shown) for value in estimate)
    return f"{head} [{low}, {high}]" if estimate.measured else head
