"""Generalised least squares against brute-force minimisation, inverse variance, and singular covariances."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.least_squares import generalised_least_squares

SEEDS = st.integers(0, 2**32 - 1)


def covariance_of(rng, size, rank=None):
    root = rng.standard_normal((size, size if rank is None else rank))
    return root @ root.T


def weights_of(covariance):
    return generalised_least_squares(np.zeros(len(covariance)), covariance).weights


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(1, 5))
def test_regular_covariances_have_the_textbook_weights(seed, size):
    rng = np.random.default_rng(seed)
    covariance, values = covariance_of(rng, size) + 0.01 * np.eye(size), rng.standard_normal((4, size))
    found = generalised_least_squares(values, covariance)
    inverse = np.linalg.inv(covariance)
    np.testing.assert_allclose(found.weights, np.tile(inverse.sum(0) / inverse.sum(), (4, 1)), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.variance, np.full(4, 1 / inverse.sum()), rtol=1e-7)
    np.testing.assert_allclose(found.target, values @ found.weights[0], rtol=1e-9, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 4), st.booleans())
def test_no_weights_found_by_search_are_better(seed, size, singular):
    rng = np.random.default_rng(seed)
    covariance = covariance_of(rng, size, size - 1 if singular else None)

    def variance(free):
        weights = np.append(free, 1 - free.sum())
        return weights @ covariance @ weights

    best = minimize(variance, np.full(size - 1, 1 / size), method="BFGS", options={"gtol": 1e-10}).fun
    found = generalised_least_squares(np.zeros(size), covariance)
    scale = np.diagonal(covariance).min()
    assert found.variance <= best + 1e-7 * scale
    assert found.variance >= best - 1e-6 * scale  # the search ends above the minimum, by its own tolerance
    assert found.weights.sum() == pytest.approx(1, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(SEEDS, st.integers(2, 5), st.integers(0, 5))
def test_never_worse_than_the_best_estimate_whatever_the_rank(seed, size, rank):
    covariance = covariance_of(np.random.default_rng(seed), size, rank)
    found = generalised_least_squares(np.ones(size), covariance)
    assert 0 <= found.variance <= np.diagonal(covariance).min() * (1 + 1e-9)
    assert found.target == pytest.approx(1, abs=1e-9)  # unbiased: weights sum to 1
    rounding = 1e-8 * np.diagonal(covariance).max()  # of a singular covariance, whose best variance is 0
    assert found.variance == pytest.approx(found.weights @ covariance @ found.weights, abs=rounding)


def test_uncorrelated_estimates_have_inverse_variance_weights_over_any_range():
    variances = np.array([1e-14, 2e-14, 1.0, 10.0])
    np.testing.assert_allclose(
        weights_of(np.diag(variances)), 1 / variances / (1 / variances).sum(), rtol=1e-6, atol=1e-30
    )


def test_perfectly_correlated_estimates():
    assert generalised_least_squares(np.ones(3), np.full((3, 3), 2.0)).variance == pytest.approx(2.0)
    np.testing.assert_allclose(weights_of(np.ones((2, 2))), [1, 0])
    # e_2 = 2 e_1, so that 2 x_1 - x_2 has no error
    exact = generalised_least_squares(np.array([1.3, 1.6]), np.array([[1.0, 2.0], [2.0, 4.0]]))
    np.testing.assert_allclose(exact.weights, [2, -1])
    assert exact.target == pytest.approx(1.0)
    assert exact.variance == pytest.approx(0.0, abs=1e-12)
    # the third repeats the second: as if it were not there
    repeated = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    assert generalised_least_squares(np.ones(3), repeated).variance == pytest.approx(0.5)


def test_estimates_without_error_take_all_weight():
    np.testing.assert_allclose(weights_of(np.diag([1.0, 0.0, 2.0])), [0, 1, 0])
    np.testing.assert_allclose(weights_of(np.zeros((2, 2))).sum(), 1)


def test_a_covariance_a_point_is_each_alone():
    rng = np.random.default_rng(0)
    covariances = np.stack([covariance_of(rng, 3) for _ in range(4)])
    values = rng.standard_normal((5, 4, 3))
    found = generalised_least_squares(values, covariances)
    assert found.target.shape == found.variance.shape == (5, 4)
    for point, covariance in enumerate(covariances):
        alone = generalised_least_squares(values[:, point], covariance)
        for one, other in zip(alone, found, strict=True):
            np.testing.assert_allclose(one, other[:, point], rtol=1e-12)


def test_monte_carlo_error_has_the_predicted_variance():
    rng = np.random.default_rng(1)
    covariance = covariance_of(rng, 3)
    draws = 5.0 + rng.multivariate_normal(np.zeros(3), covariance, 20_000)
    found = generalised_least_squares(draws, covariance)
    predicted = found.variance[0]
    assert abs(found.target.mean() - 5) < 4 * np.sqrt(predicted / 20_000)
    assert abs(found.target.var() / predicted - 1) < 4 * np.sqrt(2 / 20_000)


@pytest.mark.parametrize(
    "covariance",
    [
        np.eye(3),
        np.array([[1.0, 0.5], [0.4, 1.0]]),
        np.array([[1.0, 1.1], [1.1, 1.0]]),
        np.diag([1.0, -1.0]),
        np.array([[0.0, 0.1], [0.1, 1.0]]),
        np.array([[1.0, np.nan], [np.nan, 1.0]]),
    ],
)
def test_what_is_no_covariance_is_refused(covariance):
    with pytest.raises(UserError, match="the covariance"):
        generalised_least_squares(np.zeros(2), covariance)
