"""The log marginal likelihood of a Laplace approximation, and the scales that maximise it.

With a prior ``theta ~ N(0, I / d)``, log-likelihood ``L`` at ``theta*`` and curvature ``H`` of eigenvalues ``h_i``
(MacKay 1992, "A practical Bayesian framework for backpropagation networks", section 3; Daxberger et al. 2021, "Laplace
redux", section 2.1):

    log Z = L - d ||theta*||^2 / 2 + P/2 log d - 1/2 sum_i log(h_i + d).

Its derivative in log d is ``(g - d ||theta*||^2) / 2`` with the effective number of parameters ``g = sum_i h_i /
(h_i + d)``, so that at the maximum ``d = g / ||theta*||^2``.

Numbers have normal noise of variance v: ``L = - NK/2 log(2 pi v) - RSS / (2 v)`` and ``h_i = e_i / v``, with the
curvature's eigenvalues ``e_i`` for noise 1. With ``r = d v`` fixed, log Z is largest at
``v = (RSS + r ||theta*||^2) / NK``, which leaves one scale to search.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

FloatArray = NDArray[np.float64]
Scale = float | Literal["marginal_likelihood"]
"""A number, or whichever is most likely."""

_LOG_SCALES = np.linspace(np.log(1e-8), np.log(1e8), 161)
"""Where a scale is searched first: ten values in each power of ten."""


class Evidence(NamedTuple):
    """What the log marginal likelihood depends on.

    Attributes:
        eigenvalues: (P,) of the curvature, for numbers with noise of variance 1.
        squared_norm: ``||theta*||^2`` of the same parameters.
        log_likelihood: of the labels in nats, for classes; 0 for numbers.
        squared_errors: their sum over examples and outputs, for numbers; 0 for classes.
        num_values: numbers that are predicted, NK; 0 for classes.
    """

    eigenvalues: FloatArray
    squared_norm: float
    log_likelihood: float = 0.0
    squared_errors: float = 0.0
    num_values: int = 0

    def log_marginal_likelihood(self, prior_precision: float, noise_variance: float = 1.0) -> float:
        """Return log Z in nats; the noise variance is 1 for classes, which have none."""
        noise = self.num_values * np.log(2 * np.pi * noise_variance) + self.squared_errors / noise_variance
        curved = np.log(self.eigenvalues / noise_variance + prior_precision).sum()
        prior = prior_precision * self.squared_norm - len(self.eigenvalues) * np.log(prior_precision)
        return float(self.log_likelihood - 0.5 * (noise + prior + curved))


class Scales(NamedTuple):
    """Prior precision, noise variance (1 for classes), and log Z with them, in nats."""

    prior_precision: float
    noise_variance: float
    log_marginal_likelihood: float


def scales(evidence: Evidence, prior_precision: Scale, noise_variance: Scale = 1.0) -> Scales:
    """Return the scales, those maximised that are asked for by ``"marginal_likelihood"``.

    A maximum is searched between 1e-8 and 1e8: on a grid, then between its best value's neighbours.
    """
    precision: float
    if not isinstance(prior_precision, str) and not isinstance(noise_variance, str):
        precision, variance = float(prior_precision), float(noise_variance)
    elif not isinstance(noise_variance, str):
        variance = float(noise_variance)
        precision = _maximum(lambda value: evidence.log_marginal_likelihood(value, variance))
    elif not isinstance(prior_precision, str):
        precision = float(prior_precision)
        variance = _maximum(lambda value: evidence.log_marginal_likelihood(precision, value))
    else:

        def best_variance(ratio: float) -> float:
            return (evidence.squared_errors + ratio * evidence.squared_norm) / evidence.num_values

        def along(ratio: float) -> float:
            return evidence.log_marginal_likelihood(ratio / best_variance(ratio), best_variance(ratio))

        ratio = _maximum(along)
        variance = best_variance(ratio)
        precision = ratio / variance
    return Scales(precision, variance, evidence.log_marginal_likelihood(precision, variance))


def _maximum(value: Callable[[float], float]) -> float:
    """Return the positive number where ``value`` is largest."""
    best = int(np.argmax([value(float(np.exp(log))) for log in _LOG_SCALES]))
    around = _LOG_SCALES[max(best - 1, 0)], _LOG_SCALES[min(best + 1, len(_LOG_SCALES) - 1)]
    found = minimize_scalar(
        lambda log: -value(float(np.exp(log))), bounds=around, method="bounded", options={"xatol": 1e-9}
    )
    return float(np.exp(found.x))
