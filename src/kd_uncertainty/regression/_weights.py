"""Targets that combine responses with pilots' predictions, by weights that each half of a population gives the other.

With weights estimated from the very students that are then measured, a population looks less variable than one whose
weights are given, even for linear students and BLUE, where no weight can bring anything. Cross-fitting removes that:
even students have the weights that odd ones show, and the other way round.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from kd_uncertainty.regression.data import Floats
from kd_uncertainty.uncertainty import weighting
from kd_uncertainty.uncertainty.weighting import Responses, StudentEstimate


class Targets(NamedTuple):
    """Targets (students, examples) and the weight of the mean response in each."""

    target: Floats
    weights: Floats


def with_independent_pilots(responses: Responses, pilots: Floats, noise_variance: Floats) -> Targets:
    """Combine mean responses with pilots that were trained on other responses, by inverse variances.

    Args:
        responses: of each student.
        pilots: (students, examples), the prediction of each student's pilot; its variance is that over the pilots of
            the other half.
        noise_variance: (students, examples), of a response, as each student has estimated it.
    """

    def weights_of(own: slice, other: slice) -> Floats:
        estimate = StudentEstimate(pilots[own], pilots[other].var(axis=0, ddof=1))
        return weighting.inverse_variance_estimated(_some(responses, own), estimate, noise_variance[own]).weights

    return _by_halves(responses, pilots, weights_of)


def with_own_pilots(responses: Responses, pilots: Floats) -> Targets:
    """Combine mean responses with pilots that were trained on them, by their covariance (BLUE).

    All second moments are those over the other half, so that a single response will do, and they are pooled over
    examples, so that there is one weight: a network that follows its noisy targets closely leaves differences so small
    that weights of single examples, from some dozen students, would be anything.

    Args:
        responses: of each student.
        pilots: (students, examples), the prediction of each student's pilot.
    """

    def weights_of(own: slice, other: slice) -> Floats:
        means = responses.mean[other]
        common = responses.num_responses * float(means.var(axis=0, ddof=1).mean())
        found = weighting.correlated_estimate(pilots[:1], pilots[other], means)
        pooled = (np.full_like(moment, np.mean(moment)) for moment in (found.variance, found.covariance))
        estimate = StudentEstimate(found.mean, *pooled)
        # common to the students of a half, so they are computed for one
        return weighting.blue(_some(responses, slice(1)), estimate, common).weights

    return _by_halves(responses, pilots, weights_of)


def _by_halves(responses: Responses, pilots: Floats, weights_of: Callable[[slice, slice], Floats]) -> Targets:
    """Combine by weights of some students, of which ``weights_of`` gets the slice and that of the others."""
    weights = np.empty_like(pilots)
    even, odd = slice(0, None, 2), slice(1, None, 2)
    weights[even], weights[odd] = weights_of(even, odd), weights_of(odd, even)
    return Targets(weights * responses.mean + (1.0 - weights) * pilots, weights)


def _some(responses: Responses, students: slice) -> Responses:
    return Responses(responses.mean[students], responses.variance[students], responses.num_responses)
