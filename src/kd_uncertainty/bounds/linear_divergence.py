r"""The exact distillation divergence of linear-Gaussian students whose map does not depend on the teacher's draw.

The student's law is that of (Y^, W_S) with ``W_S | W ~ MN(W M, I_k, Sigma_S)``, the teacher's that of (Y, W). Both are
Gaussian, with rows that are independent of one another, so that ``K_n = KL(student || teacher)`` is known in two ways:
directly (:mod:`~kd_uncertainty.bounds.linear_joint`), and by the chain rule

    K_n = KL(P_Y^ || P_Y)  [dataset shift]  +  E_{y ~ Y^} KL(q_S(. | y) || q_T(. | y))  [algorithm shift],

where ``q_S(. | y) = MN(E[W | y] M, I, Sigma_S + M' Cov(W | y) M)`` averages over the teachers that y may come from, and
the teacher's kernel is evaluated at the same pseudo-labels y (Li & He, arXiv 2605.13143).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kd_uncertainty.bounds.linear_gaussian import (
    Floats,
    LinearGaussian,
    Spectrum,
    checked_covariance,
    in_basis,
    spectrum,
)

_SERIES_BELOW = 1e-2
_SERIES_TERMS = 12


class Divergence(NamedTuple):
    """The two summands of the chain rule, in nats."""

    dataset_shift: float
    algorithm_shift: float

    @property
    def total(self) -> float:
        """K_n."""
        return self.dataset_shift + self.algorithm_shift


def dataset_shift(world: LinearGaussian) -> float:
    """KL(P_Y^ || P_Y), both laws over real labels; in nats.

    ``(1 / 2 nu^2) E[Bias + k Var] - (k / 2) logdet(I + H^2 + X' Sigma_T X / nu^2)``.
    """
    basis, noise = spectrum(world), world.label_noise**2
    missed = ((basis.truth * basis.shrinkage * basis.singular) ** 2).sum() / (2.0 * noise)
    growth = basis.fit * (basis.fit + 1.0 / world.inverse_temperature)
    return float(missed + len(world.weights) / 2.0 * excess(growth).sum())


def conditional_dataset_shift(world: LinearGaussian, labels: Floats) -> Floats:
    """KL(P_Y^|Y || P_Y) at given real labels; its mean over them is at least :func:`dataset_shift`.

    Args:
        world: with the truth W*.
        labels: Y, (..., k, n).

    Returns:
        (...), in nats: ``(Bias + k Var) / (2 nu^2) - (k / 2) logdet(I + X' Sigma_T X / nu^2)``.
    """
    basis, noise = spectrum(world), world.label_noise**2
    means = labels @ world.inputs.T @ basis.left * (world.inverse_temperature / noise * basis.teacher)
    bias = (((means - basis.truth) * basis.singular) ** 2).sum(axis=(-1, -2)) / (2.0 * noise)
    return np.asarray(bias + len(world.weights) / 2.0 * excess(basis.fit / world.inverse_temperature).sum())


def divergence(world: LinearGaussian, linear_map: Floats, covariance: Floats) -> Divergence:
    """Return K_n by the chain rule.

    Args:
        world: of teacher and data.
        linear_map: M, (d, d): any fixed map. Students of full rank have X X^+ (:func:`visible_map`).
        covariance: Sigma_S, (d, d). Of both, a (d,) vector is the diagonal of one in the basis of the spectrum.

    Raises:
        UserError: the covariance is not positive definite.
    """
    basis, outputs = spectrum(world), len(world.weights)
    rotated = in_basis(basis, linear_map)
    factor = checked_covariance(world, covariance)
    pulled = np.sqrt(basis.posterior)[:, None] * rotated
    spread = covariance_term(basis, np.vstack([factor.T, pulled]), outputs)
    # How the two means differ: at the mean pseudo-labels, and by how the pseudo-labels then fluctuate.
    centre = basis.mean @ (rotated - np.diag(basis.fit))
    student = basis.singular * basis.marginal / basis.observed
    teacher = world.inverse_temperature / world.label_noise**2 * basis.singular * basis.teacher
    moved = np.sqrt(basis.observed)[:, None] * (student[:, None] * rotated - np.diag(teacher))
    means = ((centre**2).sum(axis=0) + outputs * (moved**2).sum(axis=0)) / basis.teacher
    return Divergence(dataset_shift(world), spread + 0.5 * float(means.sum()))


def visible_map(world: LinearGaussian) -> Floats:
    """X X^+, (d, d): what every best map of full rank does to W."""
    basis = spectrum(world)
    return np.asarray((basis.left * basis.seen) @ basis.left.T)


def covariance_term(basis: Spectrum, root: Floats, outputs: int) -> float:
    """``(k / 2) [tr(Sigma_T^-1 Sigma) - d + log(|Sigma_T| / |Sigma|)]``.

    Args:
        basis: of the world.
        root: any matrix (m, d) with Sigma = root' root in the basis of the spectrum.
        outputs: k.
    """
    relative: Floats = np.asarray(np.linalg.svd(root / np.sqrt(basis.teacher), compute_uv=False))
    return outputs / 2.0 * float(excess(relative**2 - 1.0).sum())


def excess(values: Floats) -> Floats:
    """``x - log(1 + x)`` for x > -1, without cancellation where x is small."""
    small = np.abs(values) < _SERIES_BELOW
    near = np.where(small, values, 0.0)
    series = np.zeros_like(near)
    for power in range(_SERIES_TERMS, 1, -1):
        series = near * series + (-1.0) ** power / power
    far = np.where(small, 1.0, values)
    return np.where(small, near * near * series, far - np.log1p(far))
