r"""Random-effects components of inter-student variance in a crossed design of seeds.

Students cross three random factors: response seed r, initialisation seed i, order seed o. Their predictions follow

``p_rio = mu + A_r + B_i + C_o + (AB)_ri + (AC)_ro + (BC)_io + (ABC)_rio``

with independent zero-mean effects. Two students that share exactly the factors J have
``E <p_s, p_t> = |mu|^2 + sum of the variances of the effects inside J``, so that means over such pairs
(U-statistics) estimate every component without bias, whatever the interactions. In a full crossing they equal the
classical ANOVA estimates of the three-way random model. All are linear in the Gram matrix of the students.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import FACTORS
from kd_uncertainty.uncertainty.decomposition import FloatArray

COMPONENTS = ("inter_unbiased", *FACTORS, "residual")


class CrossedDesign(NamedTuple):
    """A full crossing of seed levels.

    Attributes:
        levels: for each factor the seeds in ascending order.
        rows: (students,) position of the student with levels (r, i, o), in C order.
    """

    levels: tuple[NDArray[np.int64], ...]
    rows: NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of levels of response, initialisation and order."""
        return tuple(len(levels) for levels in self.levels)


def crossed_design(seeds: NDArray[Any]) -> CrossedDesign:
    """Read the crossing from the students' seeds.

    Args:
        seeds: (students, 3) integers: response, initialisation and order seed.

    Raises:
        UserError: the students are not every combination of the levels present, each exactly once.
    """
    values = np.asarray(seeds)
    if values.ndim != 2 or values.shape[1] != len(FACTORS) or len(values) == 0:
        raise UserError(
            f"seeds have the shape {values.shape}; give one row (response, initialisation, order) a student"
        )
    levels = tuple(np.unique(column) for column in values.T)
    codes = tuple(np.searchsorted(one, column) for one, column in zip(levels, values.T, strict=True))
    shape = tuple(len(one) for one in levels)
    cells = np.ravel_multi_index(codes, shape)
    size = int(np.prod(shape))
    if len(cells) != size or len(np.unique(cells)) != size:
        raise UserError(
            f"the {len(cells)} students are not a full crossing of {' x '.join(map(str, shape))} response, "
            "initialisation and order seeds; give every combination exactly once"
        )
    return CrossedDesign(levels, np.argsort(cells))


def gram_matrices(
    probabilities: NDArray[Any], design: CrossedDesign, num_blocks: int = 1
) -> tuple[FloatArray, FloatArray]:
    """Average inner products between students, in blocks of consecutive examples.

    ``G_bst = mean_{e in b} sum_c (p_sec - mean_s p_ec)(p_tec - mean_s p_ec)``. Taking off the students' mean changes no
    component and keeps the digits.

    Args:
        probabilities: (students, examples, classes).
        design: the students' crossing.
        num_blocks: how many blocks at most.

    Returns:
        (blocks, students, students) in the design's order, and (blocks,) each block's share of the examples.
    """
    values = np.asarray(probabilities, dtype=np.float64)[design.rows]
    centred = values - values.mean(axis=0)
    num_students, num_examples, _ = centred.shape
    edges = block_edges(num_examples, num_blocks)
    sizes = np.diff(edges)
    gram = np.empty((len(sizes), num_students, num_students))
    for block, (start, stop) in enumerate(itertools.pairwise(edges)):
        part = centred[:, start:stop].reshape(num_students, -1)
        np.matmul(part, part.T, out=gram[block])
    return gram / sizes[:, None, None], sizes / num_examples


def block_edges(num_examples: int, num_blocks: int) -> NDArray[np.int64]:
    """(blocks + 1,) bounds of at most ``num_blocks`` nearly equal blocks of consecutive examples."""
    return np.linspace(0, num_examples, min(num_blocks, num_examples) + 1).round().astype(np.int64)


@cache
def _kernels(num_levels: int, left_out: int | None) -> FloatArray:
    """Pair weights (2, levels, levels): [0] over pairs of different levels, [1] over pairs of the same level."""
    kept = np.ones(num_levels)
    if left_out is not None:
        kept[left_out] = 0.0
    count = kept.sum()
    same = np.diag(kept) / count
    if count == 1:
        return np.stack([same, same])  # every pair shares the only level, by structure
    return np.stack([(np.outer(kept, kept) - np.diag(kept)) / (count * (count - 1)), same])


def pair_means(gram: FloatArray, shape: Sequence[int], left_out: tuple[int, int] | None = None) -> FloatArray:
    """Mean inner product over the pairs of students that share exactly a given set of factors.

    Args:
        gram: (..., students, students) in C order of ``shape``.
        shape: levels of response, initialisation and order.
        left_out: (factor, level) whose students are ignored, for the jackknife.

    Returns:
        (..., 2, 2, 2): index 1 on an axis means that the pair shares that factor. Where a factor has one level both
        indices hold the same mean.
    """
    batch = gram.shape[:-2]
    values = gram.reshape(*batch, *shape, *shape)
    for factor in reversed(range(len(shape))):
        kernels = _kernels(shape[factor], left_out[1] if left_out and left_out[0] == factor else None)
        # The factor's own axis is the last of the remaining row axes and of the remaining column axes.
        row = len(batch) + factor
        values = _contract(values, row, row + factor + 1, kernels)
    return np.swapaxes(values, -1, -3)  # new axes were appended from the last factor to the first


def _contract(values: FloatArray, row: int, column: int, kernels: FloatArray) -> FloatArray:
    """Sum over two axes with the weights of each kernel, which becomes the last axis; a quicker ``np.tensordot``."""
    kept = [axis for axis in range(values.ndim) if axis not in (row, column)]
    flat = values.transpose(*kept, row, column).reshape(-1, kernels[0].size)
    product = np.dot(flat, kernels.reshape(len(kernels), -1).T)
    return np.asarray(product.reshape(*(values.shape[axis] for axis in kept), -1))


class Components(NamedTuple):
    """Variance components summed over classes, in squared probability.

    Attributes:
        estimates: (..., 5) in the order of ``COMPONENTS``; the last four sum to the first.
        level_variance: (..., 3) sample variance (ddof 1) of the means over each factor's levels; it never is negative
            and exceeds the factor's component by the interactions' noise.
    """

    estimates: FloatArray
    level_variance: FloatArray


def components_from_pairs(means: FloatArray, shape: Sequence[int]) -> Components:
    """Turn means over pairs into components; linear.

    ``response = g_R - g_0`` and so on, ``inter_unbiased = g_RIO - g_0``, the residual is what the main effects leave.

    Args:
        means: (..., 2, 2, 2) of ``pair_means``.
        shape: levels of each factor among the students that were averaged.
    """
    base = means[..., 0, 0, 0]
    inter = means[..., 1, 1, 1] - base
    main = np.stack([means[..., 1, 0, 0] - base, means[..., 0, 1, 0] - base, means[..., 0, 0, 1] - base], axis=-1)
    residual = inter - main.sum(axis=-1)
    level_variance = []
    for factor in range(len(shape)):
        difference = np.diff(means, axis=factor - 3)
        for other in range(len(shape)):
            if other != factor:
                share = np.array([1.0 - 1.0 / shape[other], 1.0 / shape[other]])
                weights = share.reshape([2 if axis == other else 1 for axis in range(3)])
                difference = (difference * weights).sum(axis=other - 3, keepdims=True)
        level_variance.append(difference[..., 0, 0, 0])
    estimates = np.concatenate([inter[..., None], main, residual[..., None]], axis=-1)
    return Components(estimates, np.stack(level_variance, axis=-1))


def anova_components(probabilities: NDArray[Any], seeds: NDArray[Any]) -> dict[str, float]:
    """Estimate the components of one arm's inter-student variance, averaged over examples.

    ``inter_unbiased`` is the variance of a student with three fresh seeds. It is not the sample variance with ddof 1,
    because crossed students share levels and so vary too little. Estimates may be negative. A factor with one level
    has the component 0 by structure; the others then hold given that level.

    Args:
        probabilities: (students, examples, classes).
        seeds: (students, 3) response, initialisation and order seed.

    Returns:
        One value for each of ``COMPONENTS``; response + initialisation + order + residual = inter_unbiased.

    Raises:
        UserError: the students are not a full crossing.
    """
    design = crossed_design(seeds)
    gram, _ = gram_matrices(probabilities, design)
    estimates = components_from_pairs(pair_means(gram[0], design.shape), design.shape).estimates
    return dict(zip(COMPONENTS, map(float, estimates), strict=True))
