r"""The distillation divergence of the linear-Gaussian world by brute force, to check the chain rule with.

Both laws, of (Y, W) and of (Y^, W_S), are written down as Gaussians of n + d dimensions a row and compared at once;
nothing is shared with :mod:`~kd_uncertainty.bounds.linear_divergence` but the definitions. Subtracting what is nearly
equal costs the direct form up to seven digits of sixteen, so that it is computed in the longest floats that numpy has
(19 digits on x86). Small sizes only: the cost is cubic in n + d.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.bounds.linear_gaussian import Floats, LinearGaussian
from kd_uncertainty.errors import UserError

Long = NDArray[np.longdouble]


def direct_divergence(world: LinearGaussian, linear_map: Floats, covariance: Floats) -> float:
    """Return K_n, in nats, of a student ``W_S | W ~ MN(W M, I, Sigma_S)``.

    Args:
        world: of teacher and data.
        linear_map: M, (d, d), not depending on W.
        covariance: Sigma_S, (d, d).

    Raises:
        UserError: a covariance is not positive definite.
    """
    inputs, weights, M, sigma_s = (
        np.asarray(value, dtype=np.longdouble) for value in (world.inputs, world.weights, linear_map, covariance)
    )
    size, count = inputs.shape
    noise, beta = np.longdouble(world.label_noise) ** 2, np.longdouble(world.inverse_temperature)
    precision = np.longdouble(world.prior_precision) * np.eye(size) + beta / noise * inputs @ inputs.T
    root = _lower_solve(_cholesky(precision), np.eye(size, dtype=np.longdouble))
    sigma = root.T @ root
    gain = beta / noise * inputs.T @ sigma  # (n, d): W_T = Y gain
    explained = noise * gain.T @ gain
    marginal, mean = sigma + explained, weights @ inputs @ gain
    cross = inputs.T @ marginal
    teacher = _joint(noise * np.eye(count), noise * gain, marginal)
    student = _joint(noise * np.eye(count) + cross @ inputs, cross @ M, sigma_s + M.T @ marginal @ M)
    shift = np.hstack([mean @ inputs - weights @ inputs, mean @ M - mean])
    return float(gaussian_divergence(shift, student, teacher))


def gaussian_divergence(shift: NDArray[Any], covariance: NDArray[Any], other: NDArray[Any]) -> np.longdouble:
    """KL(MN(mean + shift, I, covariance) || MN(mean, I, other)) in nats.

    Args:
        shift: (rows, size), difference of means.
        covariance: (size, size), of each row.
        other: (size, size).

    Raises:
        UserError: a covariance is not positive definite.
    """
    factor, other_factor = _cholesky(covariance), _cholesky(other)
    relative = _lower_solve(other_factor, factor)
    moved = _lower_solve(other_factor, np.asarray(shift, dtype=np.longdouble).T)
    growth = (relative**2).sum() - len(factor) - 2 * np.log(np.diag(relative)).sum()
    return np.longdouble((len(shift) * growth + (moved**2).sum()) / 2)


def _joint(first: NDArray[Any], cross: Long, second: Long) -> Long:
    return np.asarray(np.block([[first, cross], [cross.T, second]]))


def _cholesky(matrix: NDArray[Any]) -> Long:
    """The lower factor, column by column: LAPACK knows no long floats."""
    rest = np.array(matrix, dtype=np.longdouble)
    factor = np.zeros_like(rest)
    for column in range(len(rest)):
        pivot = rest[column, column]
        if not pivot > 0.0:
            raise UserError("Gaussian divergence: a covariance is not positive definite, so that it is not finite")
        factor[column:, column] = rest[column:, column] / np.sqrt(pivot)
        rest[column:, column:] -= np.outer(factor[column:, column], factor[column:, column])
    return factor


def _lower_solve(factor: Long, right: Long) -> Long:
    """Solve ``factor x = right`` by forward substitution."""
    solved = np.array(right, dtype=np.longdouble)
    for row in range(len(factor)):
        solved[row] = (solved[row] - factor[row, :row] @ solved[:row]) / factor[row, row]
    return solved
