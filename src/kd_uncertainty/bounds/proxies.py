r"""Sub-Gaussian proxies: how wide the teacher's law of the generalisation gap h is.

h is sigma^2-sub-Gaussian where ``log E exp(l (h - E h)) <= sigma^2 l^2 / 2`` for every l; the bounds of
:mod:`~kd_uncertainty.bounds.generalisation` need such a sigma. What is returned says in its type whether it is one:

* a :data:`Certificate` is an upper bound of the smallest sigma, given that what it is computed from is exact (the law
  of h, or suprema over all data sets, or a range);
* an :data:`Estimate` comes from a sample or is too small by definition, and certifies nothing.

The same is in the name: ``*_certificate`` or ``*_proxy``. All are in the units of the loss. Source: Li & He (arXiv
2605.13143), the stability proxy; McDiarmid (1989) for bounded differences; Hoeffding (1963).
"""

from __future__ import annotations

import math
from typing import NewType

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kd_uncertainty.bounds._cumulants import largest_curvature
from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]

Certificate = NewType("Certificate", float)
"""A sigma for which h is sub-Gaussian."""
Estimate = NewType("Estimate", float)
"""A sigma that may be too small."""


def std_proxy(values: ArrayLike, weights: ArrayLike | None = None) -> Estimate:
    """The standard deviation of h, which no sub-Gaussian sigma can be below: a lower bound, never a certificate.

    Args:
        values: of h, (m,).
        weights: probabilities of the values, (m,); without them the values are a sample, and 1 / (m - 1) is used.

    Raises:
        UserError: if there are too few values, or values or weights are no law.
    """
    if weights is not None:
        return Estimate(math.sqrt(_variance(*_law(values, weights))))
    sample, _ = _law(values, None)
    if len(sample) < 2:
        raise UserError(f"bounds: {len(sample)} value of h has no standard deviation; give at least two")
    return Estimate(float(np.std(sample, ddof=1)))


def cumulant_proxy(values: ArrayLike) -> Estimate:
    """The sub-Gaussian sigma of a sample's own law, ``max_l sqrt(2 log mean exp(l (h - mean h))) / |l|``.

    It knows nothing of values that the sample missed, and with few values it is too small on average.

    Args:
        values: of h, one a training set, (m,).
    """
    return Estimate(math.sqrt(largest_curvature(*_law(values, None))))


def cumulant_certificate(values: ArrayLike, weights: ArrayLike) -> Certificate:
    """The smallest sub-Gaussian sigma of a law that is known, ``sup_l sqrt(2 CGF(l)) / |l|``, rounded up by under 1e-6.

    Args:
        values: of h, (m,).
        weights: their exact probabilities, (m,).
    """
    return Certificate(math.sqrt(largest_curvature(*_law(values, weights))))


def hoeffding_certificate(lowest: float, highest: float) -> Certificate:
    """Half the range of h (Hoeffding's lemma): a loss in [a, b] gives ``hoeffding_certificate(a - b, b - a)`` = b - a.

    It does not fall with the number of examples, as the teacher may depend on all of them.

    Raises:
        UserError: if the range is no interval.
    """
    if not -math.inf < lowest <= highest < math.inf:
        raise UserError(f"bounds: [{lowest:g}, {highest:g}] is no finite range of h; give the lower bound first")
    return Certificate((highest - lowest) / 2.0)


def bounded_difference_proxy(differences: ArrayLike, spread: float = 0.0) -> Estimate:
    """McDiarmid's sigma, ``sqrt(sum_i c_i^2 + R^2) / 2``, of differences that were measured on some data sets.

    Args:
        differences: the largest change of (the teacher's mean) h seen when example i is replaced, one an example, (n,).
        spread: R, the largest range of h on one data set over what a randomised teacher may return; 0 if it is not.
    """
    changes = np.asarray(differences, dtype=np.float64)
    if not (np.isfinite(changes).all() and (changes >= 0.0).all() and 0.0 <= spread < math.inf):
        raise UserError("bounds: differences and spread of h must be finite and not negative; give absolute values")
    return Estimate(math.sqrt(float((changes**2).sum()) + spread**2) / 2.0)


def bounded_difference_certificate(largest: float, num_examples: int, spread: float) -> Certificate:
    r"""McDiarmid's sigma of exact suprema, ``sqrt(n c^2 + R^2) / 2``.

    Given the data set, h is within R of its teacher's mean and so (R / 2)^2-sub-Gaussian about it; the mean itself is a
    function of n independent examples and n (c / 2)^2-sub-Gaussian; exponents add.

    Args:
        largest: c, the supremum of the change of the teacher's mean h when any one example is replaced by any other.
        num_examples: n, drawn independently.
        spread: R, the supremum over data sets of the range of h over what the teacher may return.
    """
    return Certificate(bounded_difference_proxy(np.full(num_examples, largest), spread))


def stability_proxy(stability: float, num_examples: int, loss_range: float, spread: float = 0.0) -> Estimate:
    r"""Sigma of a uniformly stable teacher, ``sqrt(n) beta + (b - a) / (2 sqrt(n))``; R / 2 is added in squares.

    It is McDiarmid's with ``c = 2 beta + (b - a) / n``. Source: Li & He, for a deterministic teacher (R = 0).

    Args:
        stability: beta, the largest change seen of the (teacher's mean) loss at any example when one is replaced.
        num_examples: n.
        loss_range: b - a.
        spread: R, as in :func:`bounded_difference_proxy`.
    """
    change = 2.0 * stability + loss_range / num_examples
    return bounded_difference_proxy(np.full(num_examples, change), spread)


def stability_certificate(stability: float, num_examples: int, loss_range: float, spread: float) -> Certificate:
    """The same of suprema: beta over all pairs of data sets and all examples, R over all data sets."""
    return Certificate(stability_proxy(stability, num_examples, loss_range, spread))


def _law(values: ArrayLike, weights: ArrayLike | None) -> tuple[Floats, Floats]:
    """Values (m,) and probabilities (m,) of a law, checked; values of no weight are left out."""
    support = np.asarray(values, dtype=np.float64).ravel()
    if not len(support) or not np.isfinite(support).all():
        raise UserError("bounds: values of h must be finite and at least one; leave out training sets that failed")
    if weights is None:
        return support, np.full(len(support), 1.0 / len(support))
    mass = np.asarray(weights, dtype=np.float64).ravel()
    if len(mass) != len(support) or (mass < 0.0).any() or not abs(mass.sum() - 1.0) < 1e-9:
        raise UserError("bounds: weights of h must be probabilities, one a value, that sum to 1; normalise them")
    return support[mass > 0.0], mass[mass > 0.0] / mass.sum()


def _variance(values: Floats, weights: Floats) -> float:
    return float(weights @ (values - weights @ values) ** 2)
