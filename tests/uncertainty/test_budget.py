import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize, nnls

from kd_uncertainty.uncertainty.budget import (
    UNBOUNDED,
    _non_negative_line,
    fit_curve,
    fit_response_budget,
    log_slope,
    recommended_num_responses,
)

GRID = np.array([1, 2, 4, 8, 16, 32])
POSITIVE = st.floats(1e-6, 1e3)


@settings(max_examples=100, deadline=None)
@given(POSITIVE, POSITIVE, st.sampled_from([GRID, np.array([1, 5]), np.array([3, 4, 11, 11])]))
def test_recovers_exact_curves(a, b, grid):
    found = fit_curve(grid, a / grid + b)
    size = a + b
    assert found.response_variance == pytest.approx(a, abs=1e-9 * size)
    assert found.floor == pytest.approx(b, abs=1e-9 * size)


@pytest.mark.parametrize(("a", "b"), [(0.3, 0.0), (0.0, 0.2), (0.0, 0.0)])
def test_recovers_curves_on_the_edges(a, b):
    found = fit_curve(GRID, a / GRID + b)
    assert found.response_variance == pytest.approx(a, rel=1e-9)
    assert found.floor == pytest.approx(b, rel=1e-9)
    assert (found.response_variance == 0.0) == (a == 0.0)
    assert (found.floor == 0.0) == (b == 0.0)


def test_many_curves_at_once_equal_each_alone():
    rng = np.random.default_rng(0)
    curves = (0.4 / GRID + 0.01) * rng.lognormal(0, 0.4, (50, len(GRID)))
    together = fit_curve(GRID, curves)
    for row, curve in enumerate(curves):
        alone = fit_curve(GRID, curve)
        assert together.response_variance[row] == pytest.approx(float(alone.response_variance), rel=1e-8, abs=1e-12)
        assert together.floor[row] == pytest.approx(float(alone.floor), rel=1e-8, abs=1e-12)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_each_step_is_the_non_negative_least_squares_solution(seed):
    rng = np.random.default_rng(seed)
    x, y, weights = 1 / np.array([1.0, 2, 3, 7]), rng.standard_normal(4), rng.uniform(0.1, 5, 4)
    slope, floor = _non_negative_line(x, y, weights)
    root = np.sqrt(weights)
    expected, _ = nnls(np.stack([x, np.ones(4)], axis=1) * root[:, None], y * root)
    np.testing.assert_allclose([slope, floor], expected, atol=1e-10)


def test_the_fit_maximises_the_gamma_quasi_likelihood():
    rng = np.random.default_rng(1)
    curve = (0.4 / GRID + 0.05) * rng.lognormal(0, 0.2, len(GRID))
    found = fit_curve(GRID, curve)

    def loss(parameters):
        fitted = np.exp(parameters[0]) / GRID + np.exp(parameters[1])
        return (curve / fitted + np.log(fitted)).sum()

    best = minimize(loss, np.log([0.4, 0.05]), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-14})
    assert found.response_variance == pytest.approx(np.exp(best.x[0]), rel=1e-5)
    assert found.floor == pytest.approx(np.exp(best.x[1]), rel=1e-5)


def test_unbiased_under_relative_errors():
    rng = np.random.default_rng(2)
    curves = (0.4 / GRID + 0.05) * (1 + 0.1 * rng.standard_normal((4000, len(GRID))))
    found = fit_curve(GRID, curves)
    for values, truth in ((found.response_variance, 0.4), (found.floor, 0.05)):
        # Weights from fitted values bias by the order of the squared error, far below 1 %.
        assert abs(values.mean() - truth) < 4 * values.std() / np.sqrt(4000) + 0.005 * truth


def test_one_k_cannot_separate_a_from_b():
    with pytest.raises(ValueError, match="two different numbers"):
        fit_curve(np.array([4, 4]), np.array([0.1, 0.2]))


@settings(max_examples=300, deadline=None)
@given(st.integers(1, 400), st.integers(1, 100), st.integers(1, 63))
def test_recommended_number_by_brute_force(a, b, sixty_fourths):
    a, b, threshold = a / 8, b / 4, sixty_fourths / 64
    k = 1
    while Fraction(a) / k / (Fraction(a) / k + Fraction(b)) >= Fraction(threshold):
        k += 1
    assert recommended_num_responses(a, b, threshold) == k


def test_a_share_equal_to_the_threshold_is_not_below_it():
    assert recommended_num_responses(3.0, 1.0, 0.25) == 10
    assert recommended_num_responses(math.nextafter(3.0, 0), 1.0, 0.25) == 9


def test_recommended_number_at_the_edges():
    assert recommended_num_responses(0.0, 0.3, 0.25) == 1
    assert recommended_num_responses(0.0, 0.0, 0.25) == 1
    assert recommended_num_responses(0.1, 0.0, 0.25) == UNBOUNDED
    assert recommended_num_responses(1e-9, 1.0, 0.25) == 1


@settings(max_examples=50, deadline=None)
@given(POSITIVE, st.integers(0, 2**32 - 1))
def test_slope_is_minus_one_on_exact_curves(a, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 10, len(GRID))
    assert log_slope(GRID, a / GRID, weights) == pytest.approx(-1.0)


def test_slope_against_polyfit_and_without_what_is_not_positive():
    rng = np.random.default_rng(3)
    values, weights = rng.lognormal(0, 1, len(GRID)), rng.uniform(0.1, 5, len(GRID))
    values[[1, 4]] = [-0.2, 0.0]
    kept = values > 0
    expected = np.polyfit(np.log(GRID[kept]), np.log(values[kept]), 1, w=np.sqrt(weights[kept]))[0]
    assert log_slope(GRID, values, weights) == pytest.approx(expected)


def test_slope_needs_two_positive_points():
    values = np.array([[0.1, -1, -1, -1, -1, -1], [-1, -1, -1, -1, -1, -1], 1 / GRID])
    found = log_slope(GRID, values, np.ones(6))
    assert np.isnan(found[:2]).all()
    assert found[2] == pytest.approx(-1.0)


def budget_of(a, b, noise, threshold=0.25):
    rng = np.random.default_rng(4)
    inter, response = a / GRID + b, a / GRID
    factors = np.exp(noise * rng.standard_normal((500, len(GRID))))
    return fit_response_budget(GRID, inter, response, inter * factors, response * factors, threshold, 0.95)


def test_exact_curves_have_exact_budgets():
    found = budget_of(0.3, 0.02, 0.0)
    for bound in found.response_variance:
        assert bound == pytest.approx(0.3)
    for bound in found.floor:
        assert bound == pytest.approx(0.02)
    for bound in found.slope:
        assert bound == pytest.approx(-1.0)
    assert set(found.recommended_num_responses) <= {45.0, 46.0}  # 3 a / b = 45, a boundary that rounding may cross
    assert found.num_slope_points == len(GRID)


def test_intervals_are_quantiles_of_refitted_replicates():
    found = budget_of(0.3, 0.02, 0.2)
    rng = np.random.default_rng(4)
    replicates = (0.3 / GRID + 0.02) * np.exp(0.2 * rng.standard_normal((500, len(GRID))))
    fits = [fit_curve(GRID, replicate) for replicate in replicates]
    lower, upper = np.quantile([float(fit.response_variance) for fit in fits], [0.025, 0.975])
    assert found.response_variance.lower == pytest.approx(lower, rel=1e-6)
    assert found.response_variance.upper == pytest.approx(upper, rel=1e-6)
    counts = [recommended_num_responses(float(fit.response_variance), float(fit.floor), 0.25) for fit in fits]
    assert sum(count < found.recommended_num_responses.lower for count in counts) <= 0.025 * 500
    assert sum(count > found.recommended_num_responses.upper for count in counts) <= 0.025 * 500


def test_no_floor_is_unbounded_and_no_response_needs_one():
    assert budget_of(0.3, 0.0, 0.1).recommended_num_responses.estimate == UNBOUNDED
    assert budget_of(0.0, 0.3, 0.0).recommended_num_responses == (1.0, 1.0, 1.0)


def test_no_positive_response_component_has_no_slope():
    found = fit_response_budget(
        GRID, np.full(6, 0.1), np.full(6, -0.01), np.full((30, 6), 0.1), np.full((30, 6), -0.01), 0.25, 0.95
    )
    assert np.isnan(found.slope).all()
    assert found.num_slope_points == 0
