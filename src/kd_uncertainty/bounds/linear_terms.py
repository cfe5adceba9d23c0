r"""What the distillation divergence of the linear-Gaussian world is made of: Bias, Var, Apx, Cov and Spread.

Corrected bound, in nats:  ``K_n <= E[Bias + k Var] / (2 nu^2) + Apx + Cov + Spread``  with

    Bias   = ||(W_T - W*) X||_F^2,  Var = tr(X' Sigma_T X) = nu^2 d_eff / beta,
    Apx    = E[lambda ||W (M* - I)||_F^2 + (beta / nu^2) sum_{i > r} s_i^2(W X)],
    Cov    = (k / 2) [tr(Sigma_T^-1 Sigma_S) - d + log(|Sigma_T| / |Sigma_S|)],
    Spread = lambda^2 [tr(W_T Sigma_T W_T') + k tr Sigma_T^2] + beta k tr H.

Tight form:  ``K_n <= dataset shift + Cov + E ||W (M* - I + lambda Sigma_T)||^2_{Sigma_T^-1} / 2 + (beta k / 2) tr H``.

Literal form: the compact form that Li & He (arXiv 2605.13143) print, with ``k d`` for Spread. It compares the student
with the teacher's kernel at the *real* data, where the chain rule has the pseudo-labelled data, and it is **not a
bound** on K_n: Spread is k d only at beta = 1 and on average over the prior. It is computed to be shown, never to be
relied on.

The student knows the teacher's draw W, and (Y^, W_S) does not contain it: the tight form exceeds K_n by the mutual
information of W_S and W given Y^, by convexity, see :mod:`~kd_uncertainty.bounds.linear_shift`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kd_uncertainty.bounds.linear_divergence import covariance_term, dataset_shift
from kd_uncertainty.bounds.linear_gaussian import Floats, LinearGaussian, checked_covariance, spectrum
from kd_uncertainty.bounds.linear_maps import is_full, mapped
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean


class Terms(NamedTuple):
    """Summands of the corrected bound and the other forms, in nats; all are averages over real labels.

    Attributes:
        dataset_shift: exact.
        bias: E[Bias] / (2 nu^2).
        variance: k Var / (2 nu^2).
        approximation: Apx; its bounds are its estimate where nothing is drawn (full rank).
        covariance: Cov.
        spread: Spread.
        tight_shift: the tight form of the algorithm shift, with bounds as Apx.
        outputs_times_inputs: k d, the literal form's Spread.
    """

    dataset_shift: float
    bias: float
    variance: float
    approximation: Interval
    covariance: float
    spread: float
    tight_shift: Interval
    outputs_times_inputs: float

    @property
    def corrected_bound(self) -> Interval:
        """A bound on K_n."""
        return plus(self.approximation, self.bias + self.variance + self.covariance + self.spread)

    @property
    def tight_bound(self) -> Interval:
        """A bound on K_n, at most the corrected one."""
        return plus(self.tight_shift, self.dataset_shift)

    @property
    def literal_form(self) -> Interval:
        """Not a bound on K_n."""
        return plus(self.approximation, self.bias + self.variance + self.covariance + self.outputs_times_inputs)


def terms(
    world: LinearGaussian,
    rank: int,
    covariance: Floats,
    *,
    num_draws: int = 4096,
    seed: int = 0,
    confidence: float = 0.95,
) -> Terms:
    """Return all terms of a student with the best map of a rank.

    Args:
        world: of teacher and data.
        rank: r. Truncation is not linear in W: unless the rank is full, expectations over W are means over draws.
        covariance: Sigma_S, (d, d), or its diagonal (d,) in the basis of the spectrum.
        num_draws: of W.
        seed: of the draws; worlds of equal shape share their random numbers.
        confidence: of the intervals, Student's t over draws.

    Raises:
        UserError: rank or covariance cannot be used.
    """
    basis, outputs, noise = spectrum(world), len(world.weights), world.label_noise**2
    cov = covariance_term(basis, checked_covariance(world, covariance).T, outputs)
    second_moment = (basis.mean**2).sum(axis=0) + outputs * basis.marginal
    noise_part = world.inverse_temperature * outputs * float(basis.fit.sum())
    bias = ((basis.truth * basis.shrinkage * basis.singular) ** 2).sum() / (2.0 * noise)
    approximation, quadratic = _mismatch(world, rank, num_draws, seed, confidence)
    return Terms(
        dataset_shift=dataset_shift(world),
        bias=float(bias + outputs / 2.0 * (basis.fit**2).sum()),
        variance=outputs / 2.0 * float(basis.fit.sum()) / world.inverse_temperature,
        approximation=approximation,
        covariance=cov,
        spread=world.prior_precision * float((basis.shrinkage * second_moment).sum()) + noise_part,
        tight_shift=plus(quadratic, cov + noise_part / 2.0),
        outputs_times_inputs=float(world.weights.size),
    )


def _mismatch(
    world: LinearGaussian, rank: int, num_draws: int, seed: int, confidence: float
) -> tuple[Interval, Interval]:
    """Return Apx, and ``E ||W (M* - I + lambda Sigma_T)||^2_{Sigma_T^-1} / 2``."""
    basis, outputs = spectrum(world), len(world.weights)
    if is_full(rank, basis):
        second_moment = (basis.mean**2).sum(axis=0) + outputs * basis.marginal
        unseen = world.prior_precision * float(second_moment[~basis.seen].sum())
        seen = world.prior_precision * float((basis.shrinkage * second_moment)[basis.seen].sum())
        return fixed(unseen), fixed(seen / 2.0)
    normal = np.random.Generator(np.random.Philox(seed)).standard_normal((num_draws, *world.weights.shape))
    teachers = basis.mean + normal * np.sqrt(basis.marginal)
    lost = mapped(teachers, basis, rank) - teachers
    apx = (lost**2 / basis.teacher).sum(axis=(1, 2))
    tight = ((lost + basis.shrinkage * teachers) ** 2 / basis.teacher).sum(axis=(1, 2)) / 2.0
    return student_mean(apx, confidence), student_mean(tight, confidence)


def fixed(value: float) -> Interval:
    """The interval of a number that is known."""
    return Interval(value, value, value)


def plus(interval: Interval, value: float) -> Interval:
    """The interval of a sum with a number that is known."""
    return Interval(*(float(bound) + value for bound in interval))
