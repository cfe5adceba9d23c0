r"""Generalised least squares: several correlated estimates of one quantity, combined with the least variance."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.decomposition import FloatArray

SINGULAR = 1e-8
"""A difference's variance, or an eigenvalue of a correlation matrix, below this share of its scale counts as 0: the
weights that exploit it would be so large that they amplify the rounding of the covariance."""


class Combination(NamedTuple):
    """Combined estimates.

    Attributes:
        target: (...), or (students, points) from the methods of :mod:`kd_uncertainty.uncertainty.weighting`.
        weights: (..., m) of each estimate; the methods give that of the mean response alone, (students, points).
        variance: the target's variance that theory predicts from the variances given or estimated; shaped as target.
    """

    target: FloatArray
    weights: FloatArray
    variance: FloatArray


def generalised_least_squares(estimates: FloatArray, covariance: FloatArray) -> Combination:
    r"""Combine m unbiased estimates of one quantity with the covariance of their errors (Aitken 1936).

    Minimises ``w' C w`` subject to ``1'w = 1``; for regular C that is ``w = C^-1 1 / (1' C^-1 1)``. Solved as the best
    single estimate minus its regression on the differences from it, ``w = e_b - D a`` with ``(D'CD) a = D'C e_b``: the
    weights sum to 1 by construction, singular covariances need no special case, and the variance is never above that
    of the best estimate. Differences without variance (perfectly correlated, equal variances) get no weight. Perfectly
    correlated errors of unequal variances cancel: weights outside [0, 1] and no variance, as that covariance says.

    Args:
        estimates: (..., m).
        covariance: (m, m), or (..., m, m) one each; leading axes broadcast.

    Raises:
        UserError: covariance is not symmetric, finite and positive semi-definite of m rows.
    """
    values, matrix = np.asarray(estimates, np.float64), _covariance(covariance, np.shape(estimates)[-1])
    size = values.shape[-1]
    variances = np.diagonal(matrix, axis1=-2, axis2=-1)
    start = np.eye(size)[variances.argmin(axis=-1)]
    differences = np.eye(size) - start[..., :, None]  # column j: estimate j minus the best
    product = matrix @ differences
    gram = np.swapaxes(differences, -1, -2) @ product
    right = (start[..., None, :] @ product)[..., 0, :]
    coefficients = _solve_semidefinite(gram, right, variances + variances.min(axis=-1, keepdims=True))
    weights = start - (differences @ coefficients[..., None])[..., 0]
    variance = np.maximum(np.einsum("...i,...ij,...j->...", weights, matrix, weights), 0.0)
    target = (weights * values).sum(axis=-1)
    return Combination(target, np.broadcast_to(weights, (*target.shape, size)), np.broadcast_to(variance, target.shape))


def _covariance(covariance: FloatArray, size: int) -> FloatArray:
    matrix = np.asarray(covariance, dtype=np.float64)
    if matrix.shape[-2:] != (size, size) or not np.isfinite(matrix).all():
        raise UserError(f"weighting: the covariance of {size} estimates must be finite, with {size} rows and columns")
    scale = np.sqrt(np.maximum(np.diagonal(matrix, axis1=-2, axis2=-1), 0.0))
    allowed = scale[..., :, None] * scale[..., None, :]
    correlation = matrix / np.where(allowed > 0.0, allowed, 1.0)
    symmetric = (np.abs(matrix - np.swapaxes(matrix, -1, -2)) <= 1e-9 * allowed).all()
    if not symmetric or (np.linalg.eigvalsh(correlation) < -1e-9).any():
        raise UserError(
            "weighting: the covariance must be symmetric without negative eigenvalues; give the covariance matrix of "
            "the estimates' errors, as numpy.cov does"
        )
    return matrix


def _solve_semidefinite(gram: FloatArray, right: FloatArray, scale: FloatArray) -> FloatArray:
    """Solution of least norm in units in which the diagonal is 1; rows below rounding of their scale count as 0."""
    diagonal = np.diagonal(gram, axis1=-2, axis2=-1)
    used = diagonal > SINGULAR * scale
    inverse = np.where(used, 1.0 / np.sqrt(np.where(used, diagonal, 1.0)), 0.0)
    values, vectors = np.linalg.eigh(gram * inverse[..., :, None] * inverse[..., None, :])
    kept = values > SINGULAR
    reciprocal = np.where(kept, 1.0 / np.where(kept, values, 1.0), 0.0)
    rotated = np.einsum("...ij,...i->...j", vectors, right * inverse)
    return np.asarray(np.einsum("...ij,...j->...i", vectors, rotated * reciprocal) * inverse)
