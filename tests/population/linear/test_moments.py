"""Moments merge to what all students together would give."""

import math

import numpy as np
import pytest

from kd_uncertainty.population.linear.moments import Moments, merge, moments_of, reduce_pairs


def pieces_of(values, sizes, *, products=False):
    return [moments_of(piece, products=products) for piece in np.split(values, np.cumsum(sizes)[:-1])]


@pytest.mark.parametrize("sizes", [[1000], [1, 999], [500, 500], [1] * 1000, [3, 1, 400, 96, 500], [100] * 10])
def test_moments_of_pieces_are_those_of_the_whole(sizes):
    values = np.random.default_rng(0).standard_normal((1000, 4)) @ np.random.default_rng(1).standard_normal((4, 4)) + 5
    found = reduce_pairs(pieces_of(values, sizes, products=True), merge)
    assert found.students == 1000
    np.testing.assert_allclose(found.mean, values.mean(0), rtol=1e-14)
    np.testing.assert_allclose(found.covariance, np.cov(values.T), rtol=0, atol=1e-13)
    np.testing.assert_allclose(found.variance, values.var(0, ddof=1), rtol=1e-13)
    alone = reduce_pairs(pieces_of(values, sizes), merge)
    np.testing.assert_allclose(alone.variance, values.var(0, ddof=1), rtol=1e-13)
    np.testing.assert_array_equal(alone.mean, found.mean)


def test_a_mean_far_from_zero_cancels_nothing():
    generator = np.random.default_rng(2)
    values = generator.standard_normal((100_000, 1)) + 2.0**27  # sums of squares would keep no digit of the variance
    found = reduce_pairs(pieces_of(values, [1000] * 100), merge)
    exact = (values - 2.0**27).var(0, ddof=1)
    assert found.variance == pytest.approx(exact, rel=1e-9)
    squares = (values**2).mean() - values.mean() ** 2
    assert abs(squares / exact - 1) > 1e-2


def test_many_merges_keep_the_digits():
    values = np.random.default_rng(3).standard_normal(1 << 17)
    pieces = (Moments(1, np.array([value]), np.zeros(1)) for value in values)
    found = reduce_pairs(pieces, merge)
    assert found.mean[0] == pytest.approx(math.fsum(values) / len(values), abs=1e-16 * 20)
    deviations = values - math.fsum(values) / len(values)
    assert found.scatter[0] == pytest.approx(math.fsum(deviations**2), rel=1e-14)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 13, 64, 100])
def test_pairs_are_combined_in_order_and_in_a_shallow_tree(count):
    depth = {}

    def combine(first, second):
        joined = first + second
        depth[joined] = 1 + max(depth.get(first, 0), depth.get(second, 0))
        return joined

    pieces = [(number,) for number in range(count)]
    whole = reduce_pairs(iter(pieces), combine)
    assert whole == tuple(range(count))
    assert depth.get(whole, 0) <= 2 * math.ceil(math.log2(count))


def test_one_student_has_no_variance():
    single = moments_of(np.array([[1.0, 2.0]]), products=True)
    np.testing.assert_array_equal(single.mean, [1, 2])
    assert np.isnan(single.variance).all()
    assert np.isnan(single.covariance).all()
    pair = merge(single, moments_of(np.array([[3.0, 0.0]]), products=True))
    np.testing.assert_array_equal(pair.covariance, [[2, -2], [-2, 2]])


def test_variances_alone_are_no_covariance():
    with pytest.raises(TypeError, match="products=True"):
        _ = moments_of(np.ones((3, 2))).covariance


def test_no_students_no_moments():
    with pytest.raises(ValueError, match="no students"):
        reduce_pairs([], merge)
