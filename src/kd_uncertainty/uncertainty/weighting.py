r"""Named methods that combine a teacher's responses with a student's estimate into one training target.

Each student has k responses ``y = mu + e`` with ``Var(e) = sigma^2`` to every point. ``average`` trains on their mean
``ybar``; the others on ``w ybar + (1 - w) f`` with a student's estimate f of mu (Cui & Pei 2026, section 7).

What to expect. Where variances are known and errors independent, the inverse-variance target has the variance
``1 / (k / sigma^2 + 1 / Var(f))`` at each point, below both. That is the target's variance and not yet the trained
student's, and f has to come from somewhere:

- f fitted to the same k responses is a function of the same noise. For least squares ``f = H ybar`` with a symmetric
  projection H, so that ``Cov(ybar_i, f_i) = Var(f_i) = sigma^2 H_ii / k``: BLUE puts all weight on f, and a student
  fitted to ``f = H ybar`` is the one fitted to ybar, since ``H H = H``. Nothing is gained, and by Gauss and Markov no
  other weights gain anything for a linear student; plain inverse variance, which takes the errors for independent, at
  best loses nothing.
- f from an independent pilot costs responses of its own: compare with averaging over all responses that were spent.
  For a linear student and k' pilot responses one common ``w = k / (k + k')`` gives back exactly the average over
  k + k'. Weights that are best for each target lean further to f, because fitting has averaged its noise over points
  already, and the retrained student varies more than with the average over k + k'.
- a student that cannot represent the teacher is biased, which variances do not show.

The public code of the paper shows a gain because its student is the noise-free teacher: the ``oracle`` variant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.least_squares import SINGULAR, Combination


class Responses(NamedTuple):
    """What the methods need of k responses; sufficient for Gaussian noise.

    Attributes:
        mean: (students, points) mean over responses.
        variance: (students, points) variance over responses with ddof 0, 0 for k = 1.
        num_responses: k.
    """

    mean: FloatArray
    variance: FloatArray
    num_responses: int


class StudentEstimate(NamedTuple):
    """A student's estimate of the teacher's mean; all broadcast to (students, points).

    Attributes:
        mean: (points,) one for all students, or (students, points) one each.
        variance: of that mean around its expectation, squared units.
        covariance: with the mean response that it is combined with; 0 if it was fitted to other responses.
    """

    mean: FloatArray
    variance: FloatArray
    covariance: FloatArray | float = 0.0


Method = Callable[[Responses, StudentEstimate, FloatArray | float | None], Combination]
"""From responses, student's estimate and noise variance (None: estimated from the responses) to targets."""


def summarise(responses: FloatArray) -> Responses:
    """Reduce responses (students, k, points) to their moments.

    Raises:
        ValueError: responses have another number of axes, or k = 0.
    """
    values = np.asarray(responses, dtype=np.float64)
    if values.ndim != 3 or 0 in values.shape:
        raise ValueError(f"responses must be (students, k, points), not of shape {values.shape}")
    return Responses(values.mean(axis=1), values.var(axis=1), values.shape[1])


def pilot_estimate(predictions: FloatArray) -> StudentEstimate:
    """Return the mean of independent pilot students, each fitted to responses of its own.

    ``f = mean_p f_p`` with ``Var(f) = Var_p(f_p) / P`` (ddof 1) and no covariance with later responses.

    Args:
        predictions: (..., pilots, points): (pilots, points) if all students share the pilots. Shared pilots leave
            their error in common to all students: it shows in the squared error and not in inter-student variance.

    Raises:
        UserError: fewer than two pilots.
    """
    values = _pilots(predictions)
    return StudentEstimate(values.mean(axis=-2), values.var(axis=-2, ddof=1) / values.shape[-2])


def correlated_estimate(mean: FloatArray, predictions: FloatArray, response_means: FloatArray) -> StudentEstimate:
    """Return an estimate fitted to the same responses, its spread taken from pilots or a bootstrap.

    ``Var(f) = Var_p(f_p)`` and ``Cov(ybar, f) = Cov_p(ybar_p, f_p)`` (ddof 1) over pilots that repeat the whole
    procedure with k responses each, or over bootstrap resamples of one student's responses.

    Args:
        mean: (students, points) or (points,) the students' predictions that are combined.
        predictions: (..., pilots, points) the pilots' predictions.
        response_means: as predictions, the mean responses that each pilot was fitted to.

    Raises:
        UserError: fewer than two pilots.
    """
    values, responses = _pilots(predictions), _pilots(response_means)
    deviations = values - values.mean(axis=-2, keepdims=True)
    covariance = (deviations * responses).sum(axis=-2) / (values.shape[-2] - 1)
    return StudentEstimate(np.asarray(mean, dtype=np.float64), values.var(axis=-2, ddof=1), covariance)


def teacher_variance(
    responses: Responses, noise_variance: FloatArray | float | None = None, prior_degrees: float = math.inf
) -> FloatArray:
    """Return the variance of one response at each point, shrunk to a common one, (students, points).

    ``(d0 c + (k - 1) s_i^2) / (d0 + k - 1)`` with the unbiased ``s_i^2`` of each point (Smyth 2004, "Linear models and
    empirical Bayes methods", section 3, for d0 given). The common c is ``noise_variance`` or, without one, the mean of
    s_i^2 over a student's points, which has points (k - 1) degrees of freedom and so is sound from k = 2 on.

    Args:
        responses: k responses of every student.
        noise_variance: c, stated or from a pilot's responses; needed at k = 1, where one response shows no variance.
        prior_degrees: d0: infinite takes c everywhere, 0 every point by itself.

    Raises:
        UserError: k = 1 without a noise variance, or a noise variance that is negative or not finite.
    """
    degrees = responses.num_responses - 1
    shape = responses.mean.shape
    if noise_variance is None and degrees == 0:
        raise UserError(
            "weighting: one response a point does not show the teacher's variance; state noise_variance, take it from "
            "a pilot with more responses, or use num_responses of at least 2"
        )
    own = responses.variance * (responses.num_responses / max(degrees, 1))
    common = own.mean(axis=-1, keepdims=True) if noise_variance is None else np.asarray(noise_variance, np.float64)
    if not (np.isfinite(common) & (common >= 0.0)).all():
        raise UserError("weighting: noise_variance must be finite and not negative; it is a variance, in squared units")
    share = 1.0 if math.isinf(prior_degrees) or degrees == 0 else prior_degrees / (prior_degrees + degrees)
    return np.broadcast_to(share * common + (1.0 - share) * own, shape)


def average(
    responses: Responses, student: StudentEstimate | None = None, noise_variance: FloatArray | float | None = None
) -> Combination:
    """Return the mean response, whatever the student says; its variance is ``sigma^2 / k``.

    At k = 1 without a noise variance the predicted variance is NaN.
    """
    shape = responses.mean.shape
    known = noise_variance is not None or responses.num_responses > 1
    variance = teacher_variance(responses, noise_variance) if known else np.full(shape, np.nan)
    return Combination(responses.mean, np.ones(shape), variance / responses.num_responses)


def inverse_variance_oracle(
    responses: Responses, student: StudentEstimate, noise_variance: FloatArray | float | None
) -> Combination:
    r"""Weight by inverse variances as the paper's public code does, with what no user has.

    The student's mean is the noise-free teacher mean, its variance the true sigma^2, and the teacher's variance that of
    each point's k responses with ddof 0, not divided by k: ``w = sigma^2 / (sigma^2 + s^2)``, which is distributed as
    ``1 / (1 + chi^2_{k-1} / k)`` and is 1 at k = 1. The target's variance is ``sigma^2 / k`` times
    :func:`oracle_variance_ratio`, since mean and variance of Gaussian responses are independent.

    Args:
        responses: k responses of every student.
        student: its ``mean`` is the noise-free teacher mean, which the user of a real teacher lacks; nothing else is
            read.
        noise_variance: the true sigma^2, (points,) or one.

    Raises:
        UserError: no noise variance, or one that is negative or not finite.
    """
    if noise_variance is None:
        raise UserError("weighting: the oracle needs the true noise_variance; use inverse_variance_estimated without")
    true = teacher_variance(responses, noise_variance)
    weights = _weights(responses.variance, true)
    ratio = oracle_variance_ratio(responses.num_responses)
    return Combination(_mix(weights, responses, student), weights, true * (ratio / responses.num_responses))


def inverse_variance_estimated(
    responses: Responses,
    student: StudentEstimate,
    noise_variance: FloatArray | float | None = None,
    prior_degrees: float = math.inf,
) -> Combination:
    """Weight by inverse variances of the mean response and the student's estimate, as if they were independent.

    ``w = Var(f) / (sigma^2 / k + Var(f))`` with the pooled or shrunk sigma^2 of :func:`teacher_variance`. The predicted
    variance is ``w^2 sigma^2 / k + (1 - w)^2 Var(f) + 2 w (1 - w) Cov``: with the covariance if the estimate states
    one, although the weights ignore it.

    Args:
        responses: k responses of every student.
        student: from :func:`pilot_estimate`, or :func:`correlated_estimate` to see what the covariance costs.
        noise_variance: as in :func:`teacher_variance`.
        prior_degrees: likewise.

    Raises:
        UserError: as :func:`teacher_variance`.
    """
    teacher = teacher_variance(responses, noise_variance, prior_degrees) / responses.num_responses
    weights = _weights(teacher, np.asarray(student.variance))
    variance = _predicted(weights, teacher, student, student.covariance)
    return Combination(_mix(weights, responses, student), weights, variance)


def blue(
    responses: Responses, student: StudentEstimate, noise_variance: FloatArray | float | None = None
) -> Combination:
    """Weight mean response and student's estimate by their covariance: the best linear unbiased estimate of the two.

    ``w = (Var(f) - Cov) / (sigma^2 / k + Var(f) - 2 Cov)``: inverse variance if the covariance is 0; weights outside
    [0, 1] are possible. An estimated covariance is cut to what the two variances allow. For more than two estimates
    see :func:`~kd_uncertainty.uncertainty.least_squares.generalised_least_squares`.

    Args:
        responses: k responses of every student.
        student: from :func:`correlated_estimate`.
        noise_variance: as in :func:`teacher_variance`.

    Raises:
        UserError: as :func:`teacher_variance`.
    """
    teacher = teacher_variance(responses, noise_variance) / responses.num_responses
    limit = np.sqrt(teacher * student.variance)
    covariance = np.clip(student.covariance, -limit, limit)
    spread = teacher + student.variance - 2.0 * covariance
    regular = spread > SINGULAR * (teacher + student.variance)
    alone = np.where(teacher <= student.variance, 1.0, 0.0)
    weights = np.where(regular, (student.variance - covariance) / np.where(regular, spread, 1.0), alone)
    return Combination(_mix(weights, responses, student), weights, _predicted(weights, teacher, student, covariance))


METHODS: dict[str, Method] = {
    "average": average,
    "inverse_variance_oracle": inverse_variance_oracle,
    "inverse_variance_estimated": inverse_variance_estimated,
    "blue": blue,
}
"""The methods by the names that the remedies table uses."""


def oracle_variance_ratio(num_responses: int) -> float:
    """Return ``E[1 / (1 + chi^2_{k-1} / k)^2]``, the oracle target's variance over that of the average.

    It falls from 1 at k = 1 to 1/4. Gauss-Legendre quadrature over chi, whose density is smooth at 0.

    Raises:
        ValueError: fewer than one response.
    """
    if num_responses < 1:
        raise ValueError(f"num_responses must be at least 1, not {num_responses}")
    if num_responses == 1:
        return 1.0
    centre = math.sqrt(num_responses - 1)
    lower, upper = max(centre - 10.0, 0.0), centre + 10.0  # chi has a standard deviation below 0.71
    nodes, shares = np.polynomial.legendre.leggauss(128)
    chi = lower + (upper - lower) * (nodes + 1.0) / 2.0
    density = stats.chi.pdf(chi, num_responses - 1) * shares
    return float((density / (1.0 + chi**2 / num_responses) ** 2).sum() / density.sum())


def _pilots(predictions: FloatArray) -> FloatArray:
    values = np.asarray(predictions, dtype=np.float64)
    if values.ndim < 2 or values.shape[-2] < 2:
        raise UserError(
            "weighting: a variance over pilot students needs at least 2 of them; raise the number of pilots"
        )
    return values


def _weights(teacher: FloatArray, student: FloatArray) -> FloatArray:
    """Inverse-variance weight of the first; 1 where neither varies."""
    total = teacher + student
    return np.where(total > 0.0, student / np.where(total > 0.0, total, 1.0), 1.0)


def _mix(weights: FloatArray, responses: Responses, student: StudentEstimate) -> FloatArray:
    return np.asarray(weights * responses.mean + (1.0 - weights) * student.mean)


def _predicted(
    weights: FloatArray, teacher: FloatArray, student: StudentEstimate, covariance: FloatArray | float
) -> FloatArray:
    other = 1.0 - weights
    variance = weights**2 * teacher + other**2 * student.variance + 2.0 * weights * other * covariance
    return np.asarray(np.maximum(variance, 0.0))
