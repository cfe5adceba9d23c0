"""Mean and variance over students that come in pieces and are not kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import reduce
from typing import NamedTuple, TypeVar

import numpy as np

from kd_uncertainty.population.linear.contract import Floats

Piece = TypeVar("Piece")


class Moments(NamedTuple):
    """What the mean and variance of any number of students can be merged from, in the memory of one.

    Attributes:
        students: how many.
        mean: (values,).
        scatter: sums of squared deviations from the mean, (values,), or of products of deviations, (values, values).
    """

    students: int
    mean: Floats
    scatter: Floats

    @property
    def variance(self) -> Floats:
        """Unbiased (ddof 1) variance of each value over students, (values,); NaN for a single student."""
        diagonal = self.scatter if self.scatter.ndim == 1 else np.diagonal(self.scatter)
        return diagonal / (self.students - 1) if self.students > 1 else np.full_like(diagonal, np.nan)

    @property
    def covariance(self) -> Floats:
        """Unbiased (ddof 1) covariance over students, (values, values), where products were summed."""
        if self.scatter.ndim == 1:
            raise TypeError("these moments hold variances alone; ask for products=True")
        return self.scatter / (self.students - 1) if self.students > 1 else np.full_like(self.scatter, np.nan)


def moments_of(values: Floats, *, products: bool = False) -> Moments:
    """Return the moments of (students, values), in two passes.

    Args:
        values: (students, values).
        products: whether to sum products of deviations, for covariances.
    """
    mean = values.mean(0)
    deviations = values - mean
    scatter = deviations.T @ deviations if products else np.einsum("sv,sv->v", deviations, deviations)
    return Moments(len(values), mean, scatter)


def merge(first: Moments, second: Moments) -> Moments:
    """Return the moments of the students of both.

    ``mean = mean_1 + shift n_2 / n``, ``scatter = scatter_1 + scatter_2 + shift shift' n_1 n_2 / n`` with
    ``shift = mean_2 - mean_1`` (Chan, Golub & LeVeque 1983, "Algorithms for computing the sample variance", section
    3): there is no difference of large sums, so nothing cancels however far the mean is from 0.
    """
    students = first.students + second.students
    shift = second.mean - first.mean
    products = np.outer(shift, shift) if first.scatter.ndim == 2 else shift**2
    return Moments(
        students,
        first.mean + shift * (second.students / students),
        first.scatter + second.scatter + products * (first.students * (second.students / students)),
    )


def reduce_pairs(pieces: Iterable[Piece], combine: Callable[[Piece, Piece], Piece]) -> Piece:
    """Return all pieces combined: in pairs, pairs of pairs, and so on, in their order.

    The tree depends on the number of pieces alone, and rounding errors grow with its depth, the logarithm of that
    number, instead of with the number. Only one piece of each level is held.

    Raises:
        ValueError: if there are none.
    """
    levels: list[Piece | None] = []
    for piece in pieces:
        combined = piece
        for level, waiting in enumerate(levels):
            if waiting is None:
                levels[level] = combined
                break
            combined, levels[level] = combine(waiting, combined), None
        else:
            levels.append(combined)
    left = [waiting for waiting in levels if waiting is not None]
    if not left:
        raise ValueError("no students, no moments")
    return reduce(lambda later, earlier: combine(earlier, later), left)
