r"""Intervals over students that were distilled independently of one another.

Crossed students share seeds and belong to :mod:`kd_uncertainty.uncertainty.jackknife`; here every student has seeds of
its own, so students are the sample. All intervals are conditional on the examples: they say how far the figure would
move with other students, not with another table.

Variances and ratios have Student t intervals on the logarithmic scale (Miller 1968, "Jackknifing variances"):
``theta exp(+-t s)`` with ``s^2 = (R-1)/R sum_s (l_s - mean l)^2`` over the delete-one ``l_s = log theta_(s)``, and
R - 1 degrees of freedom. A student counts with all its examples, however they are correlated.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.resampling import MAX_LOG_DEVIATION

MIN_STUDENTS = 3
"""With fewer, leaving one out leaves no variance, and bounds are NaN."""


def inter_student_variance(predictions: FloatArray, confidence: float = 0.95) -> Interval:
    """Mean over examples of the unbiased (ddof 1) variance over students, with its interval.

    Args:
        predictions: (students, examples) real values; the result has their unit squared.
        confidence: of the interval.

    Returns:
        Bounds are 0 where students are equal and NaN with fewer than three students; all is NaN with fewer than two.

    Raises:
        ValueError: predictions are not a non-empty matrix, or confidence is not inside (0, 1).
    """
    estimate, logs = _variance(_distances(predictions))
    return _log_interval(estimate, _jackknife_variance(logs), len(logs) - 1, confidence)


def student_mean(values: FloatArray, confidence: float = 0.95) -> Interval:
    """Mean over students of one value each, with Student's t interval.

    Args:
        values: (students,) for example each student's mean squared error.
        confidence: of the interval.

    Returns:
        Bounds are NaN for a single student.

    Raises:
        ValueError: values are not a non-empty vector, or confidence is not inside (0, 1).
    """
    mean, squared_error = _mean(_vector(values))
    return _t_interval(mean, squared_error, len(values) - 1, confidence)


def positive_mean(values: FloatArray, confidence: float = 0.95) -> Interval:
    """Mean over students of values that are not negative, with a jackknife interval on the logarithmic scale.

    For squared errors, whose distribution over students is skewed: with few students it covers where Student's t
    interval falls short, and its lower bound is not negative.

    Args:
        values: (students,).
        confidence: of the interval.

    Returns:
        Bounds are NaN for a single student or a negative mean, and 0 where all values are 0.

    Raises:
        ValueError: as :func:`student_mean`.
    """
    estimate, logs = _logs_of_means(_vector(values))
    return _log_interval(estimate, _jackknife_variance(logs), len(logs) - 1, confidence)


def variance_ratio(
    numerator: FloatArray, denominator: FloatArray, confidence: float = 0.95, paired: bool = True
) -> Interval:
    """Ratio of two inter-student variances, each as :func:`inter_student_variance`.

    Args:
        numerator: (students, examples) predictions.
        denominator: (students, examples) predictions; the examples may differ in number.
        confidence: of the interval.
        paired: whether row s of both is one student on common random numbers; what both share then cancels. Otherwise
            the two populations are independent, with the degrees of freedom of Welch and Satterthwaite.

    Returns:
        All NaN if the denominator does not vary; zero width at 0 if the numerator alone does not.

    Raises:
        ValueError: as :func:`inter_student_variance`, or paired populations differ in size.
    """
    return _ratio(_variance(_distances(numerator)), _variance(_distances(denominator)), confidence, paired)


def mean_ratio(
    numerator: FloatArray, denominator: FloatArray, confidence: float = 0.95, paired: bool = True
) -> Interval:
    """Ratio of two means over students of values that are not negative, such as squared errors or entropies.

    Args:
        numerator: (students,).
        denominator: (students,).
        confidence: of the interval.
        paired: as in :func:`variance_ratio`.

    Returns:
        As :func:`variance_ratio`; bounds are NaN if the numerator's mean is negative.

    Raises:
        ValueError: arguments are no non-empty vectors, or paired populations differ in size.
    """
    return _ratio(_logs_of_means(_vector(numerator)), _logs_of_means(_vector(denominator)), confidence, paired)


def mean_difference(first: FloatArray, second: FloatArray, confidence: float = 0.95, paired: bool = True) -> Interval:
    """Mean of the first population minus mean of the second, with Student's t interval (Welch's if not paired).

    Args:
        first: (students,).
        second: (students,).
        confidence: of the interval.
        paired: as in :func:`variance_ratio`.

    Raises:
        ValueError: arguments are no non-empty vectors, or paired populations differ in size.
    """
    first, second = _vector(first), _vector(second)
    if paired:
        _check_pairs(len(first), len(second))
        return student_mean(first - second, confidence)
    (one, error_one), (two, error_two) = _mean(first), _mean(second)
    degrees = _welch(error_one, len(first) - 1, error_two, len(second) - 1)
    return _t_interval(one - two, error_one + error_two, degrees, confidence)


def squared_errors(predictions: FloatArray, truth: FloatArray) -> FloatArray:
    """Mean squared error of each student, (students,), in the target's unit squared.

    Args:
        predictions: (students, points).
        truth: (points,).
    """
    deviations = np.asarray(predictions, dtype=np.float64) - np.asarray(truth, dtype=np.float64)
    return np.asarray(np.einsum("sp,sp->s", deviations, deviations) / deviations.shape[1])


def _distances(predictions: FloatArray) -> FloatArray:
    """Mean over examples of each student's squared deviation from the mean student, (students,)."""
    values = np.asarray(predictions, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise ValueError(f"predictions must be (students, examples), not of shape {values.shape}")
    deviations = values - values[0]  # exactly 0 for equal students, which a mean's rounding would not be
    deviations -= deviations.mean(axis=0)
    return np.asarray(np.einsum("se,se->s", deviations, deviations) / deviations.shape[1])


def _vector(values: FloatArray) -> FloatArray:
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) == 0:
        raise ValueError(f"values must be one number a student, not of shape {values.shape}")
    return values


def _variance(distances: FloatArray) -> tuple[float, FloatArray]:
    """Return the variance and the logarithms of what it is without each student, relative to it."""
    students, total = len(distances), float(distances.sum())
    if students < 2:
        return math.nan, np.full(students, np.nan)
    estimate = total / (students - 1)
    if students < MIN_STUDENTS or total == 0.0:
        return estimate, np.full(students, np.nan if total else 0.0)
    # Leaving out a student at squared distance d takes d R / (R - 1) from the sum of squares.
    left = (1.0 - distances / total * (students / (students - 1))) * ((students - 1) / (students - 2))
    return estimate, _clipped_log(left)


def _logs_of_means(values: FloatArray) -> tuple[float, FloatArray]:
    """Return the mean and the logarithms of what it is without each student, relative to it."""
    students, total = len(values), float(values.sum())
    if students < 2 or total <= 0.0:
        return total / students, np.full(students, 0.0 if students > 1 and total == 0.0 else np.nan)
    return total / students, _clipped_log((1.0 - values / total) * (students / (students - 1)))


def _clipped_log(ratios: FloatArray) -> FloatArray:
    """Logarithms within +-MAX_LOG_DEVIATION: without the one student that varies nothing is left."""
    return np.log(np.clip(ratios, math.exp(-MAX_LOG_DEVIATION), math.exp(MAX_LOG_DEVIATION)))


def _jackknife_variance(logs: FloatArray) -> float:
    return float(((logs - logs.mean()) ** 2).sum() * (len(logs) - 1) / len(logs))


def _ratio(
    numerator: tuple[float, FloatArray], denominator: tuple[float, FloatArray], confidence: float, paired: bool
) -> Interval:
    (upper, upper_logs), (lower, lower_logs) = numerator, denominator
    if paired:
        _check_pairs(len(upper_logs), len(lower_logs))
    if not lower > 0.0 or math.isnan(upper):
        return Interval(math.nan, math.nan, math.nan)
    if paired:
        return _log_interval(
            upper / lower, _jackknife_variance(upper_logs - lower_logs), len(upper_logs) - 1, confidence
        )
    parts = _jackknife_variance(upper_logs), _jackknife_variance(lower_logs)
    degrees = _welch(parts[0], len(upper_logs) - 1, parts[1], len(lower_logs) - 1)
    return _log_interval(upper / lower, sum(parts), degrees, confidence)


def _check_pairs(first: int, second: int) -> None:
    if first != second:
        raise ValueError(f"paired populations must have as many students each, not {first} and {second}")


def _mean(values: FloatArray) -> tuple[float, float]:
    """Return mean and squared standard error; NaN for a single student."""
    deviations = values - values[0]
    mean = float(values[0] + deviations.mean())
    if len(values) < 2:
        return mean, math.nan
    return mean, float(deviations.var(ddof=1)) / len(values)


def _welch(first: float, first_degrees: int, second: float, second_degrees: int) -> float:
    """Degrees of freedom of a sum of two squared standard errors (Welch 1947; Satterthwaite 1946)."""
    if first + second == 0.0 or math.isnan(first + second):
        return float(min(first_degrees, second_degrees))
    return (first + second) ** 2 / (first**2 / first_degrees + second**2 / second_degrees)


def _quantile(degrees: float, confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence must be between 0 and 1, not {confidence}")
    return float(stdtrit(degrees, 0.5 + confidence / 2.0)) if degrees > 0 else math.nan


def _t_interval(estimate: float, squared_error: float, degrees: float, confidence: float) -> Interval:
    half = _quantile(degrees, confidence) * math.sqrt(squared_error)
    return Interval(estimate, estimate - half, estimate + half)


def _log_interval(estimate: float, squared_error: float, degrees: float, confidence: float) -> Interval:
    half = _quantile(degrees, confidence) * math.sqrt(squared_error)
    half = half if math.isnan(half) else min(half, MAX_LOG_DEVIATION)
    return Interval(estimate, estimate * math.exp(-half), estimate * math.exp(half))
