"""The best rank-r map against alternating least squares and against any other map."""

import numpy as np
import pytest

from kd_uncertainty.bounds.linear_gaussian import draw_teachers, spectrum
from kd_uncertainty.bounds.linear_maps import best_map, is_full, mapped, residual
from kd_uncertainty.errors import UserError

from .linear_worlds import SHAPES, world


def alternating_least_squares(weights, inputs, rank, seed, sweeps=3000):
    """Minimise ||W A B X - W X||_F over A (d, r) and B (r, d), from a random start."""
    target = weights @ inputs
    right = np.random.default_rng(seed).standard_normal((rank, len(inputs)))
    for _ in range(sweeps):
        left = np.linalg.pinv(weights) @ target @ np.linalg.pinv(right @ inputs)
        moved = np.linalg.pinv(weights @ left) @ target @ np.linalg.pinv(inputs)
        if np.abs(moved - right).max() < 1e-14 * np.abs(moved).max():
            break
        right = moved
    return left @ right


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_best_map_is_that_of_alternating_least_squares(shape, rank):
    one = world(seed=4, **shape)
    found = best_map(one.weights, one.inputs, rank)
    other = alternating_least_squares(one.weights, one.inputs, rank, seed=rank)
    fitted, target = one.weights @ found @ one.inputs, one.weights @ one.inputs
    np.testing.assert_allclose(fitted, one.weights @ other @ one.inputs, atol=1e-8 * np.abs(target).max())
    assert np.linalg.matrix_rank(found, tol=1e-10) <= rank
    lost = ((fitted - target) ** 2).sum()
    assert lost == pytest.approx(residual(one.weights, one.inputs, rank), rel=1e-8, abs=1e-20 * (target**2).sum())


def test_no_other_map_of_the_rank_loses_less():
    one, generator = world(), np.random.default_rng(2)
    best, target = best_map(one.weights, one.inputs, 2), one.weights @ one.inputs
    least = residual(one.weights, one.inputs, 2)
    left, sizes, right = np.linalg.svd(best)
    for size in (1e-3, 1e-1, 1.0):
        for _ in range(20):
            first = left[:, :2] * sizes[:2] + size * generator.standard_normal((4, 2))
            second = right[:2] + size * generator.standard_normal((2, 4))
            assert ((one.weights @ first @ second @ one.inputs - target) ** 2).sum() > least


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("rank", [1, 2, 3, 7])
def test_mapped_teachers_are_those_of_the_best_maps(shape, rank):
    one = world(**shape)
    basis, teachers = spectrum(one), draw_teachers(one, 10, np.random.default_rng(0))
    expected = [teacher @ best_map(teacher, one.inputs, rank) for teacher in teachers]
    found = mapped(teachers @ basis.left, basis, rank) @ basis.left.T
    np.testing.assert_allclose(found, expected, atol=1e-9)
    nothing_lost = np.allclose(residual(teachers, one.inputs, rank), 0.0, atol=1e-18)
    assert is_full(rank, basis) == nothing_lost


def test_a_map_needs_a_rank():
    with pytest.raises(UserError, match="rank is 0"):
        best_map(np.ones((2, 3)), np.ones((3, 4)), 0)
