r"""Bounds on the student's generalisation gap by the teacher's and the distillation divergence K.

The gap of a model f on a data set D is ``h(D, f) = L_P(f) - L_D(f)``: population loss minus loss on the data set.
``gen_T = E h(D, f_T)``, and ``gen_S = E h(D^, f_S)`` is taken **against the pseudo-labels** D^ that the student saw.
All bounds follow from Donsker and Varadhan's ``E_S g <= K + log E_T exp(g)``:

* ``|gen_S - gen_T| <= sigma sqrt(2 K)`` if h is sigma^2-sub-Gaussian under the teacher's law
  (:mod:`~kd_uncertainty.bounds.proxies`);
* central condition: ``gen_S >= c gen_T - K / eta`` if ``log E_T exp(-eta h) <= -c eta gen_T``. The best c is
  ``-log E_T exp(-eta h) / (eta gen_T)``, at most 1, for gen_T > 0. Sub-Gaussian constants give
  ``c = 1 - eta sigma^2 / (2 gen_T)``, and the best eta then returns ``gen_T - sigma sqrt(2 K)`` again: the second bound
  is sharper only with c from the true cumulant function.

Source: Li & He, arXiv 2605.13143.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq

from kd_uncertainty.bounds._cumulants import cumulants, tilted_mean
from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]


class Bounds(NamedTuple):
    """What gen_S lies between."""

    lower: float
    upper: float


class CentralBound(NamedTuple):
    """The lower bound by the central condition.

    Attributes:
        lower: the bound of gen_S, by the best eta.
        eta: that; infinite where the bound is the least value of h, and 0 where K = 0.
        constant: c at that eta; NaN where gen_T is not positive or eta is infinite.
    """

    lower: float
    eta: float
    constant: float


def upper_bound(gen_teacher: float, sigma: float, divergence: float) -> float:
    """gen_T + sigma sqrt(2 K)."""
    return gen_teacher + half_width(sigma, divergence)


def lower_bound(gen_teacher: float, sigma: float, divergence: float) -> float:
    """gen_T - sigma sqrt(2 K)."""
    return gen_teacher - half_width(sigma, divergence)


def two_sided(gen_teacher: float, sigma: float, divergence: float) -> Bounds:
    """gen_T -+ sigma sqrt(2 K)."""
    width = half_width(sigma, divergence)
    return Bounds(gen_teacher - width, gen_teacher + width)


def half_width(sigma: float, divergence: float) -> float:
    """Sigma sqrt(2 K); 0 if sigma is 0, however large K: then h is a constant.

    Raises:
        UserError: if either is negative or no number.
    """
    if not (sigma >= 0.0 and divergence >= 0.0):
        raise UserError(f"bounds: sigma {sigma:g} and divergence {divergence:g} must not be negative; check the laws")
    return 0.0 if sigma == 0.0 else sigma * math.sqrt(2.0 * divergence)


def central_constant(eta: float, log_moment: float, gen_teacher: float) -> float:
    r"""The best c of the central condition at eta, ``min(1, -log E_T exp(-eta h) / (eta gen_T))``.

    By Jensen's inequality it is at most 1 for gen_T > 0; for gen_T <= 0 no c up to 1 satisfies the condition.

    Args:
        eta: positive.
        log_moment: log E_T exp(-eta h).
        gen_teacher: gen_T.

    Raises:
        UserError: if eta or gen_T is not positive.
    """
    _need_positive(eta, gen_teacher)
    return min(1.0, -log_moment / (eta * gen_teacher))


def sub_gaussian_constant(eta: float, sigma: float, gen_teacher: float) -> float:
    """The c that a sub-Gaussian sigma guarantees at eta, ``1 - eta sigma^2 / (2 gen_T)``."""
    _need_positive(eta, gen_teacher)
    return 1.0 - eta * sigma**2 / (2.0 * gen_teacher)


def central_bound(eta: float, constant: float, gen_teacher: float, divergence: float) -> float:
    """C gen_T - K / eta, the lower bound of gen_S by the central condition at one eta."""
    _need_positive(eta, gen_teacher)
    return constant * gen_teacher - divergence / eta


def central_lower_bound(values: ArrayLike, weights: ArrayLike, divergence: float) -> CentralBound:
    r"""The lower bound by the central condition with the true c(eta) and the best eta.

    In terms of the cumulant function it is ``sup_eta (-log E_T exp(-eta h) - K) / eta``, which holds for any sign of
    gen_T. It is the least mean of h among all laws within K of the teacher's, so that no better bound knows only the
    law of h and K. That law is the tilted one, with weights ~ w exp(-eta h), at the eta where its divergence is K; once
    K reaches -log P(h = min h), the bound is min h.

    Args:
        values: of h under the teacher's law, (m,).
        weights: their exact probabilities, (m,).
        divergence: K.
    """
    half_width(0.0, divergence)  # refuses a negative one
    support, mass = np.asarray(values, dtype=np.float64).ravel(), np.asarray(weights, dtype=np.float64).ravel()
    support, mass = support[mass > 0.0], mass[mass > 0.0] / mass.sum()
    mean, least = float(mass @ support), float(support.min())
    centred = support - mean
    scale = float(np.abs(centred).max())
    if divergence == 0.0 or scale <= 1e-15 * abs(mean):
        return CentralBound(mean, 0.0, 1.0 if mean > 0.0 else math.nan)
    if divergence >= -math.log(float(mass[support == least].sum())):
        return CentralBound(least, math.inf, math.nan)
    eta = _best_eta(centred / scale, mass, divergence)
    log_moment = float(cumulants(centred / scale, mass, np.array([-eta]))[0])  # of the centred h
    lower = mean - scale * (log_moment + divergence) / eta
    constant = central_constant(eta / scale, log_moment - eta / scale * mean, mean) if mean > 0.0 else math.nan
    return CentralBound(lower, eta / scale, constant)


def _best_eta(values: Floats, weights: Floats, divergence: float) -> float:
    """Where KL(tilted || law), which rises with eta, is the divergence; values are centred, within [-1, 1].

    Any eta gives a bound that holds: its error only costs sharpness, and that in second order.
    """

    def excess(log_eta: float) -> float:
        eta = math.exp(log_eta)
        log_moment = float(cumulants(values, weights, np.array([-eta]))[0])
        return -eta * tilted_mean(values, weights, -eta) - log_moment - divergence

    low = high = 0.0
    while excess(high) < 0.0 and high < 60.0:
        high += 2.0
    while excess(low) > 0.0 and low > -60.0:
        low -= 2.0
    if excess(low) > 0.0 or excess(high) < 0.0:  # beyond the digits of a double
        return math.exp(low if excess(low) > 0.0 else high)
    return math.exp(float(brentq(excess, low, high, xtol=1e-10)))


def _need_positive(eta: float, gen_teacher: float) -> None:
    if not (eta > 0.0 and gen_teacher > 0.0):
        raise UserError(
            f"bounds: the central condition needs eta ({eta:g}) and the teacher's gap ({gen_teacher:g}) to be "
            "positive; the cumulant form, central_lower_bound, holds for any gap"
        )
