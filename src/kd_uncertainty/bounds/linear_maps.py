r"""Students of low rank in the linear-Gaussian world: the best rank-r map, and what it loses.

A student reuses the teacher's weights W through a map M of rank r at most: its outputs are ``W M X``. The best map,
``argmin ||W M X - W X||_F``, is ``M* = W^+ [W X]_r X^+`` with the truncated singular value decomposition [.]_r, and its
squared residual is ``sum_{i > r} s_i^2(W X)`` (Li & He, arXiv 2605.13143; Eckart & Young). So ``W M* = [W X]_r X^+ =
U_r U_r' W X X^+`` with the leading left singular vectors U_r of W X: a small projection from the left.
"""

from __future__ import annotations

import numpy as np

from kd_uncertainty.bounds.linear_gaussian import Floats, Spectrum
from kd_uncertainty.errors import UserError


def best_map(weights: Floats, inputs: Floats, rank: int) -> Floats:
    """Return M*, (d, d), of one teacher.

    Args:
        weights: W, (k, d).
        inputs: X, (d, n), of any rank; M* then is the minimiser of least norm.
        rank: r; at min(k, d) or above nothing is truncated.

    Raises:
        UserError: rank is not positive.
    """
    _check(rank)
    left, sizes, right = np.linalg.svd(weights @ inputs, full_matrices=False)
    truncated = (left[:, :rank] * sizes[:rank]) @ right[:rank]
    return np.asarray(np.linalg.pinv(weights) @ truncated @ np.linalg.pinv(inputs))


def residual(weights: Floats, inputs: Floats, rank: int) -> Floats:
    """Return the squared residual of the best map, ``sum_{i > r} s_i^2(W X)``.

    Args:
        weights: W, (..., k, d).
        inputs: X, (d, n).
        rank: r.

    Returns:
        (...).
    """
    _check(rank)
    sizes = np.linalg.svd(weights @ inputs, compute_uv=False)
    return np.asarray((sizes[..., rank:] ** 2).sum(axis=-1))


def is_full(rank: int, basis: Spectrum) -> bool:
    """Whether a map of this rank truncates nothing: W M* is then W X X^+, linear in W."""
    return rank >= min(len(basis.truth), int(basis.seen.sum()))


def mapped(teachers: Floats, basis: Spectrum, rank: int) -> Floats:
    """Return W M* of each teacher, both in the basis of the spectrum.

    Args:
        teachers: W left, (..., k, d).
        basis: of the world.
        rank: r.

    Returns:
        W M* left, (..., k, d): the student's mean.
    """
    _check(rank)
    visible = teachers * basis.seen
    if is_full(rank, basis):
        return np.asarray(visible)
    fitted = teachers * basis.singular
    _, vectors = np.linalg.eigh(fitted @ np.swapaxes(fitted, -1, -2))
    leading = vectors[..., -rank:]
    return np.asarray(leading @ (np.swapaxes(leading, -1, -2) @ visible))


def _check(rank: int) -> None:
    if rank < 1:
        raise UserError(f"linear-Gaussian student: rank is {rank}; a map needs one at least")
