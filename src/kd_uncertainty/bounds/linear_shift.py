r"""The algorithm shift of truncated students in the linear-Gaussian world, by nested Monte Carlo between two bounds.

A best map of low rank is not linear in the teacher's draw W, and the student's law given pseudo-labels is a mixture,
``q_S(w | y) = E[MN(w; W M*(W), I, Sigma_S) | y]``, without closed form. By the identity of Bayes' rule

    algorithm shift = tight form - I(W_S; W | Y^),

so that only the mutual information has to be estimated: ``I = E log q(w | W) - E log q_S(w | y)`` over y, W | y and
w | W. The mixture is estimated by importance sampling with weights ``p(W_i | y) q(w | W_i) / pi(W_i | w, y)``: the
logarithm of their mean lies below ``log q_S`` on average (Jensen), and above it if the W that made w is one of them
(it is a draw of the exact posterior; Sobolev & Vetrov 2019, arXiv 1905.03290). The proposal pi is the Gaussian
regression of W on w from draws at the same y, with a share of p(W | y) that keeps weights bounded; a bad proposal makes
the two bounds wide, never wrong.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from kd_uncertainty.bounds.linear_divergence import divergence
from kd_uncertainty.bounds.linear_gaussian import Floats, LinearGaussian, Spectrum, checked_covariance, spectrum
from kd_uncertainty.bounds.linear_maps import is_full, mapped
from kd_uncertainty.bounds.linear_terms import Terms, fixed
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

_DEFENSIVE = 0.1
"""Share of proposals from W | y itself."""
_JITTER = 1e-9


class NestedDraws(NamedTuple):
    """Sizes of the nested Monte Carlo.

    Attributes:
        num_sets: pseudo-labelled data sets; intervals are over them.
        num_students: of each set.
        num_proposals: teachers behind each student.
        num_fit: teachers of each set from which the proposal is made.
    """

    num_sets: int = 32
    num_students: int = 8
    num_proposals: int = 64
    num_fit: int = 256


class _Proposal(NamedTuple):
    """Gaussian regressions of teachers on students, both standardised, one a set.

    Attributes:
        centre: mean of students' means, (sets, 1, p).
        intercept: mean of teachers, (sets, 1, p).
        slope: (sets, p, p), from students to teachers.
        factor: (sets, p, p), Cholesky factor of the residual covariance.
    """

    centre: Floats
    intercept: Floats
    slope: Floats
    factor: Floats


def algorithm_shift(
    world: LinearGaussian,
    rank: int,
    covariance: Floats,
    found: Terms,
    *,
    draws: NestedDraws | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """Return E KL(q_S(. | Y^) || q_T(. | Y^)) in nats: exact if the rank is full, else an estimate between bounds.

    Args:
        world: of teacher and data.
        rank: r of the student's best map.
        covariance: Sigma_S, (d, d), or its diagonal (d,) in the basis of the spectrum.
        found: the terms of the same student.
        draws: sizes.
        seed: of the draws.
        confidence: of the interval, which spans both bounds of the mixture and their Monte Carlo errors.

    Returns:
        The estimate is the middle of the two bounds' means.
    """
    basis = spectrum(world)
    if is_full(rank, basis):
        return fixed(divergence(world, basis.seen.astype(np.float64), covariance).algorithm_shift)
    least, most = mutual_information(world, rank, covariance, draws=draws, seed=seed)
    below, above = student_mean(least, confidence), student_mean(most, confidence)
    tight = found.tight_shift
    middle = (below.estimate + above.estimate) / 2.0
    lower, upper = tight.lower - max(above.upper, 0.0), tight.upper - max(below.lower, 0.0)
    return Interval(tight.estimate - max(middle, 0.0), max(lower, 0.0), upper)


def mutual_information(
    world: LinearGaussian, rank: int, covariance: Floats, *, draws: NestedDraws | None = None, seed: int = 0
) -> tuple[Floats, Floats]:
    """Return estimates of I(W_S; W | Y^), (sets,) each, one a set: the first too low on average, the second too high.

    Args:
        world: of teacher and data.
        rank: r of the student's best map.
        covariance: Sigma_S, (d, d), or its diagonal (d,) in the basis of the spectrum.
        draws: sizes.
        seed: of the draws.
    """
    basis, factor, draws = spectrum(world), checked_covariance(world, covariance), draws or NestedDraws()
    generator = np.random.Generator(np.random.Philox(derive_seed(seed, "algorithm shift")))
    shape = world.weights.shape
    size = math.prod(shape)
    centres = _posterior_means(world, basis, draws.num_sets, generator)
    students = _Students(basis, centres, factor, rank)

    proposal = _fit(students, generator.standard_normal((draws.num_sets, draws.num_fit, size)))
    own = generator.standard_normal((draws.num_sets, draws.num_students, size))
    noise = generator.standard_normal(own.shape)
    reached = students.means(own) + noise
    others, densities = _propose(proposal, reached, draws.num_proposals, generator)
    flat = others.reshape(draws.num_sets, -1, size)
    errors = reached[:, :, None] - students.means(flat).reshape(others.shape)
    weights = -0.5 * ((errors**2).sum(axis=-1) + (others**2).sum(axis=-1)) - densities
    own_density = _log_density(proposal, reached, own[:, :, None])
    own_weight = -0.5 * ((noise**2).sum(axis=-1) + (own**2).sum(axis=-1))[..., None] - own_density
    # Normalising constants: those of q(w | W) cancel in I, those of p and pi are left out of both.
    conditional = -0.5 * (noise**2).sum(axis=-1)
    below = logsumexp(weights, axis=-1) - math.log(draws.num_proposals)
    above = logsumexp(np.concatenate([weights, own_weight], axis=-1), axis=-1) - math.log(draws.num_proposals + 1)
    return (conditional - above).mean(axis=1), (conditional - below).mean(axis=1)


class _Students(NamedTuple):
    """The student's mean as a function of standard normal teachers; both are vectors of p = k d numbers.

    Attributes:
        basis: of the world.
        centres: E[W | y], (sets, k, d).
        factor: Cholesky factor of Sigma_S, by which students are standardised.
        rank: r.
    """

    basis: Spectrum
    centres: Floats
    factor: Floats
    rank: int

    def means(self, normal: Floats) -> Floats:
        """Return standardised means (sets, count, p) of the teachers of standard normals (sets, count, p)."""
        shape = (*normal.shape[:2], *self.centres.shape[1:])
        teachers = self.centres[:, None] + normal.reshape(shape) * np.sqrt(self.basis.posterior)
        mean = mapped(teachers, self.basis, self.rank).reshape(-1, shape[-1])
        return np.asarray(solve_triangular(self.factor, mean.T, lower=True).T.reshape(normal.shape))


def _posterior_means(world: LinearGaussian, basis: Spectrum, num_sets: int, generator: np.random.Generator) -> Floats:
    """Draw pseudo-labels and return E[W | y], (sets, k, d); y matters by its coordinates along X alone."""
    normal = generator.standard_normal((num_sets, *world.weights.shape))
    gain = basis.singular * basis.marginal / basis.observed
    return np.asarray(basis.mean + normal * np.sqrt(basis.observed) * gain)


def _fit(students: _Students, normal: Floats) -> _Proposal:
    """Regress teachers (sets, count, p) on students that they make, Sigma_S included."""
    means = students.means(normal)
    count, size = normal.shape[1:]
    centre, intercept = means.mean(axis=1, keepdims=True), normal.mean(axis=1, keepdims=True)
    left, right = normal - intercept, means - centre
    cross = np.swapaxes(left, 1, 2) @ right / count
    total = np.swapaxes(right, 1, 2) @ right / count + np.eye(size)
    slope = np.swapaxes(np.linalg.solve(total, np.swapaxes(cross, 1, 2)), 1, 2)
    rest = np.swapaxes(left, 1, 2) @ left / count - slope @ np.swapaxes(cross, 1, 2)
    factor = np.linalg.cholesky((rest + np.swapaxes(rest, 1, 2)) / 2.0 + _JITTER * np.eye(size))
    return _Proposal(centre, intercept, slope, factor)


def _predicted(proposal: _Proposal, reached: Floats) -> Floats:
    return np.asarray(proposal.intercept + (reached - proposal.centre) @ np.swapaxes(proposal.slope, 1, 2))


def _propose(proposal: _Proposal, reached: Floats, count: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
    """Draw ``count`` teachers for each student (sets, students, p), and their log densities up to a constant."""
    shape = (*reached.shape[:2], count, reached.shape[2])
    normal = generator.standard_normal(shape)
    flat = normal.reshape(len(normal), -1, shape[-1]) @ np.swapaxes(proposal.factor, 1, 2)
    regressed = _predicted(proposal, reached)[:, :, None] + flat.reshape(shape)
    broad = generator.random((*shape[:3], 1)) < _DEFENSIVE
    drawn = np.where(broad, normal, regressed)
    return drawn, _log_density(proposal, reached, drawn)


def _log_density(proposal: _Proposal, reached: Floats, teachers: Floats) -> Floats:
    """Log density of teachers (sets, students, count, p) under the proposal; the Gaussian constant is left out."""
    errors = (teachers - _predicted(proposal, reached)[:, :, None]).reshape(len(teachers), -1, teachers.shape[-1])
    scaled = np.linalg.solve(proposal.factor, np.swapaxes(errors, 1, 2))
    size = np.log(np.diagonal(proposal.factor, axis1=1, axis2=2)).sum(axis=1)[:, None, None]
    near = -0.5 * (scaled**2).sum(axis=1).reshape(teachers.shape[:3]) - size
    broad = -0.5 * (teachers**2).sum(axis=-1)
    return np.asarray(np.logaddexp(near + math.log(1.0 - _DEFENSIVE), broad + math.log(_DEFENSIVE)))
