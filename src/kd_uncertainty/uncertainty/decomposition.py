"""Total predictive uncertainty of a population of students as intra-student plus inter-student uncertainty."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from kd_uncertainty.errors import UserError

FloatArray = NDArray[np.float64]


class Decomposition(NamedTuple):
    """Uncertainty of each example, total = intra + inter.

    Attributes:
        total: (examples,) uncertainty of the population's mean prediction.
        intra: (examples,) mean uncertainty of one student's own prediction.
        inter: (examples,) disagreement between the students.
    """

    total: FloatArray
    intra: FloatArray
    inter: FloatArray


def as_probabilities(probabilities: NDArray[Any]) -> FloatArray:
    """Check an array of class probabilities and return it in float64.

    Args:
        probabilities: (students, examples, classes), each row non-negative with sum 1 (to 1e-3: float32 rounding).

    Raises:
        UserError: the array has another number of axes, an empty axis, or rows that are no probabilities.
    """
    values = np.asarray(probabilities, dtype=np.float64)
    if values.ndim != 3 or 0 in values.shape:
        raise UserError(
            f"probabilities have the shape {values.shape}; give a non-empty array of (students, examples, classes)"
        )
    # Written so that a NaN fails too.
    if not (values.min() >= 0.0 and np.abs(np.einsum("sec->se", values) - 1.0).max() <= 1e-3):
        raise UserError(
            "probabilities must be finite, non-negative and sum to 1 over the last axis; apply a softmax first"
        )
    return values


def variance_decomposition(probabilities: NDArray[Any]) -> Decomposition:
    r"""Split the variance of the predicted class by the law of total variance (Cui & Pei 2026, section 2).

    With the class as a one-hot vector y and s uniform over the students (so ddof = 0),
    ``total = 1 - sum_c (mean_s p_sc)^2``, ``intra = mean_s (1 - sum_c p_sc^2)``, ``inter = sum_c Var_s(p_sc)``.

    Args:
        probabilities: (students, examples, classes).

    Returns:
        Three (examples,) arrays in squared probability, each computed on its own; total = intra + inter to rounding
        where rows sum to 1 exactly and, as 1 cancels, for any rows.

    Raises:
        UserError: the array does not hold probabilities.
    """
    values = as_probabilities(probabilities)
    mean = values.mean(axis=0)
    return Decomposition(
        total=1.0 - np.einsum("ec,ec->e", mean, mean),
        intra=1.0 - np.einsum("sec,sec->e", values, values) / len(values),
        inter=values.var(axis=0).sum(axis=1),
    )


def entropy_decomposition(probabilities: NDArray[Any]) -> Decomposition:
    r"""Split the entropy of the mean prediction into mean entropy and mutual information, in nats.

    ``total = H(mean_s p_s)``, ``intra = mean_s H(p_s)`` and ``inter = mean_s KL(p_s || mean p)``, which is the mutual
    information of class and student; ``0 log 0 = 0``.

    Args:
        probabilities: (students, examples, classes).

    Returns:
        Three (examples,) arrays, each computed on its own.

    Raises:
        UserError: the array does not hold probabilities.
    """
    values = as_probabilities(probabilities)
    mean = values.mean(axis=0)
    own, cross = entropy_terms(values)
    return Decomposition(total=-xlogy(mean, mean).sum(axis=1), intra=own.mean(axis=0), inter=(cross - own).mean(axis=0))


def entropy_terms(probabilities: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Each student's entropy and its cross-entropy with the mean prediction, in nats.

    Their difference is KL(student || mean), the student's contribution to the mutual information.

    Args:
        probabilities: (students, examples, classes).

    Returns:
        Two (students, examples) arrays, ``-sum_c p log p`` and ``-sum_c p log mean``.
    """
    mean = probabilities.mean(axis=0)
    # Where the mean is 0 every student's probability is 0, so any finite logarithm gives 0 log 0 = 0.
    log_mean = np.log(np.where(mean > 0.0, mean, 1.0))
    own = -xlogy(probabilities, probabilities).sum(axis=2)
    return own, -np.einsum("sec,ec->se", probabilities, log_mean)
