"""Students with their own weights on the examples: bootstrap resamples, or any weights that are not negative."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.counter import philox_words
from kd_uncertainty.population.linear.blas import BLOCK, one_blas_thread, row_products
from kd_uncertainty.population.linear.contract import Floats, Seeds, Train
from kd_uncertainty.population.linear.design import Design
from kd_uncertainty.population.linear.shared import as_targets

RESAMPLING = 5
"""Purpose of the counter's streams that resamples are drawn from."""

_LANE = 8  # matrices are padded to a multiple of 64 bytes a row, because LAPACK may round by alignment
_SMALLEST_PIVOT = 1e-4  # below this share of the largest diagonal element normal equations lose too many digits


def bootstrap_weights(seeds: Seeds, num_examples: int, size: int, *, resample: int = 0) -> Floats:
    """Return how often each student drew each example, (students, examples), in ``size`` draws with replacement.

    Draw ``i`` is example ``floor(word_i num_examples / 2^32)``, with the words of stream ``resample`` of the student's
    seed for the purpose RESAMPLING; an example's probability is within 2^-32 of ``1 / num_examples``.

    Args:
        seeds: (students,), one a student.
        num_examples: examples to draw from, below 2^32.
        size: draws, usually 10 to 100 % of the examples.
        resample: which resample of this student.

    Raises:
        UserError: if the size is not positive.
    """
    if size < 1:
        raise UserError(f"linear students: the bootstrap size is {size}; draw at least one example")
    draws = philox_words(seeds, resample, RESAMPLING, size).astype(np.uint64)
    draws *= np.uint64(num_examples)
    draws >>= np.uint64(32)
    draws += (np.arange(len(seeds), dtype=np.uint64) * np.uint64(num_examples))[:, None]
    counts = np.bincount(draws.view(np.int64).ravel(), minlength=len(seeds) * num_examples)
    return counts.reshape(len(seeds), num_examples).astype(np.float64)


def bootstrap_students(design: Design, targets: Floats, size: int) -> Train:
    """Return what trains students on their own bootstrap resamples of common examples and targets.

    Args:
        design: from ``make_design``.
        targets: (examples,), labels or a teacher's responses.
        size: draws of each student.

    Raises:
        UserError: if the targets are not one finite number for each example, or the size is not positive.
    """
    targets = as_targets(design, targets, (design.num_examples,))
    equations = _NormalEquations.of(design, targets)
    bootstrap_weights(np.zeros(1, np.uint64), design.num_examples, size)  # a wrong size fails here, before any work

    def train(seeds: Seeds) -> Floats:
        weights = bootstrap_weights(seeds, design.num_examples, size)
        return _solve(design, weights, targets, row_products(weights, equations.matrix), equations)

    return train


def fit_weighted(design: Design, weights: Floats, targets: Floats) -> Floats:
    """Return the weighted least-squares parameters of every student, (students, parameters).

    Each minimises ``sum_i weights_i (target_i - prediction_i)^2 + ridge |coefficients|^2``. The normal equations of
    all students are one matrix product, weights @ outer products of the design's basis, solved by Cholesky
    factorisation. Where a student's equations are singular or nearly so (a pivot below 1e-4 of the largest diagonal
    element), it is solved alone through the singular value decomposition of its weighted inputs, which gives the
    coefficients of least norm, the intercept not counted.

    Args:
        design: from ``make_design``.
        weights: (students, examples), not negative.
        targets: (examples,), the same for all, or (students, examples).

    Raises:
        UserError: if weights are negative, not finite or all 0 for a student, or targets are not as above.
    """
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    shape = (len(weights), design.num_examples)
    if weights.shape != shape or not (np.isfinite(weights) & (weights >= 0)).all() or not weights.any(axis=1).all():
        raise UserError(
            f"linear students: the weights must be finite numbers of shape {shape}, none negative and one positive for "
            f"each student; drop students without examples"
        )
    shared = np.ndim(targets) == 1
    targets = as_targets(design, targets, shape[1:] if shared else shape)
    equations = _NormalEquations.of(design, targets if shared else None)
    result = np.empty((len(weights), design.num_parameters))
    with one_blas_thread():
        for top in range(0, len(weights), BLOCK):
            block = slice(top, top + BLOCK)
            products = row_products(weights[block], equations.matrix)
            if not shared:
                right = row_products(weights[block] * targets[block], design.basis)
                products = np.concatenate([products, right], axis=1)
            own = targets if shared else targets[block]
            result[block] = _solve(design, weights[block], own, products, equations)
    return result


class _NormalEquations(NamedTuple):
    """What turns weights into normal equations.

    Attributes:
        matrix: (examples, entries): products of two basis columns, lower triangles row by row; then, for common
            targets, the basis times the targets.
        lower: where these products belong in a flat padded matrix.
    """

    matrix: Floats
    lower: NDArray[np.intp]

    @classmethod
    def of(cls, design: Design, targets: Floats | None) -> _NormalEquations:
        first, second = np.tril_indices(design.rank)
        products = design.basis[:, first] * design.basis[:, second]
        if targets is not None:
            products = np.concatenate([products, design.basis * targets[:, None]], axis=1)
        return cls(products, first * _padded(design.rank) + second)


def _padded(size: int) -> int:
    return -(-max(size, 1) // _LANE) * _LANE


def _solve(design: Design, weights: Floats, targets: Floats, products: Floats, equations: _NormalEquations) -> Floats:
    """Return parameters (students, parameters) from the entries of the normal equations (students, entries)."""
    students, size, entries = len(weights), design.rank, len(equations.lower)
    padded = _padded(size)
    gram = torch.zeros(students, padded, padded, dtype=torch.float64)
    gram.numpy().reshape(students, -1)[:, equations.lower] = products[:, :entries]
    diagonal = gram.diagonal(dim1=1, dim2=2)
    diagonal[:, :size] += torch.from_numpy(design.penalty)
    largest = diagonal[:, :size].amax(1) if size else torch.ones(students, dtype=torch.float64)
    diagonal[:, size:] = largest[:, None]
    right = torch.zeros(students, padded, 1, dtype=torch.float64)
    right[:, :size, 0] = torch.from_numpy(products[:, entries:])
    factor, failed = torch.linalg.cholesky_ex(gram)
    pivots = factor.diagonal(dim1=1, dim2=2).square().amin(1)
    coordinates = torch.cholesky_solve(right, factor)[:, :size, 0].numpy()
    parameters = row_products(coordinates, design.back)
    # a comparison with NaN is false, so that a NaN pivot counts as too small
    for student in np.flatnonzero(~((failed == 0) & (pivots >= _SMALLEST_PIVOT * largest)).numpy()):
        own = targets if targets.ndim == 1 else targets[student]
        parameters[student] = _solve_alone(design, weights[student], own)
    return parameters


def _solve_alone(design: Design, weights: Floats, targets: Floats) -> Floats:
    """Return one student's parameters (parameters,) of least norm, from the examples that count."""
    used = weights > 0
    weights, inputs, targets = weights[used], design.inputs[used], targets[used]
    centre, height = np.zeros(design.num_features), 0.0
    if design.intercept:
        share = weights / weights.sum()
        centre, height = share @ inputs, float(share @ targets)
        inputs, targets = inputs - centre, targets - height
        remainder = share @ inputs  # the rounding of the mean, which would look like rank
        centre, inputs = centre + remainder, inputs - remainder
    root = np.sqrt(weights)
    left, right = root[:, None] * inputs, root * targets
    if design.ridge:
        left = np.concatenate([left, np.sqrt(design.ridge) * np.eye(design.num_features)])
        right = np.concatenate([right, np.zeros(design.num_features)])
    coefficients = np.linalg.lstsq(left, right)[0].astype(np.float64, copy=False)
    return np.append(coefficients, height - centre @ coefficients) if design.intercept else coefficients
