"""Bounds against the laws that they speak of, and against each other."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from kd_uncertainty.bounds.generalisation import (
    central_bound,
    central_constant,
    central_lower_bound,
    half_width,
    lower_bound,
    sub_gaussian_constant,
    two_sided,
    upper_bound,
)
from kd_uncertainty.bounds.proxies import cumulant_certificate
from kd_uncertainty.errors import UserError


def test_the_interval_is_what_it_says():
    assert upper_bound(0.3, 0.5, 2.0) == pytest.approx(1.3)
    assert lower_bound(0.3, 0.5, 2.0) == pytest.approx(-0.7)
    assert two_sided(0.3, 0.5, 2.0) == (lower_bound(0.3, 0.5, 2.0), upper_bound(0.3, 0.5, 2.0))


def test_the_interval_is_attained_by_shifted_gaussians():
    """N(m + s t, s^2) has divergence t^2 / 2 from N(m, s^2), and its mean is at the end of the interval."""
    for shift in (-3.0, 0.2, 1.0):
        bounds = two_sided(0.4, 0.7, shift**2 / 2.0)
        assert min(abs(bound - (0.4 + 0.7 * shift)) for bound in bounds) < 1e-12


@pytest.mark.parametrize("divergence", [1e-6, 0.1, 3.0])
def test_sub_gaussian_constants_return_the_sub_gaussian_bound(divergence):
    """The best eta of c gen_T - K / eta with c = 1 - eta sigma^2 / (2 gen_T)."""
    gen_teacher, sigma = 0.3, 0.8

    def negative(log_eta):
        eta = math.exp(log_eta)
        return -central_bound(eta, sub_gaussian_constant(eta, sigma, gen_teacher), gen_teacher, divergence)

    best = minimize_scalar(negative, bracket=(-1.0, 1.0), tol=1e-12)
    assert -best.fun == pytest.approx(lower_bound(gen_teacher, sigma, divergence), rel=1e-10)
    assert math.exp(best.x) == pytest.approx(math.sqrt(2.0 * divergence) / sigma, rel=1e-4)


def random_law(seed, size=6):
    generator = np.random.default_rng(seed)
    return generator.normal(0.3, 1.0, size), generator.dirichlet(np.ones(size))


@pytest.mark.parametrize("seed", range(12))
def test_the_central_bound_is_the_best_over_eta(seed):
    values, weights = random_law(seed)
    for divergence in (1e-8, 1e-3, 0.05, 0.5):
        found = central_lower_bound(values, weights, divergence)
        if math.isinf(found.eta):
            continue
        etas = np.exp(np.linspace(math.log(found.eta) - 4, math.log(found.eta) + 4, 4001))
        each = (-np.log(np.exp(-etas[:, None] * values) @ weights) - divergence) / etas
        assert found.lower >= each.max() - 1e-8 * (1 + abs(each.max()))
        assert found.lower == pytest.approx(each[2000], abs=1e-7)
        assert found.lower == pytest.approx(each.max(), abs=1e-5)


@pytest.mark.parametrize("seed", range(12))
def test_no_law_within_the_divergence_has_a_smaller_mean_and_one_attains_it(seed):
    """Over a dense grid of all laws on three values."""
    values, weights = random_law(seed, size=3)
    grid = np.linspace(0.0, 1.0, 401)
    first, second = (axis.ravel() for axis in np.meshgrid(grid, grid))
    laws = np.stack([first, second, 1.0 - first - second], axis=1)
    laws = laws[laws[:, 2] >= 0.0]
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.where(laws > 0.0, laws * np.log(laws / weights), 0.0).sum(axis=1)
    for divergence in (0.05, 0.3, 5.0):
        least = (laws @ values)[apart <= divergence].min()
        found = central_lower_bound(values, weights, divergence).lower
        assert found <= least + 1e-12
        assert found == pytest.approx(least, abs=0.03)


@pytest.mark.parametrize("seed", range(12))
def test_the_true_cumulant_function_is_never_behind_the_sub_gaussian_one(seed):
    values, weights = random_law(seed)
    sigma, mean = cumulant_certificate(values, weights), float(values @ weights)
    for divergence in (1e-4, 0.1, 1.0, 20.0):
        assert central_lower_bound(values, weights, divergence).lower >= lower_bound(mean, sigma, divergence) - 1e-12


def test_the_constant_is_that_of_the_definition():
    values, weights = np.array([-0.2, 0.1, 0.9]), np.array([0.2, 0.5, 0.3])
    mean = float(values @ weights)
    found = central_lower_bound(values, weights, 0.1)
    log_moment = math.log(float(np.exp(-found.eta * values) @ weights))
    assert found.constant == pytest.approx(-log_moment / (found.eta * mean), rel=1e-9)
    assert found.constant == pytest.approx(central_constant(found.eta, log_moment, mean), rel=1e-12)
    assert found.constant < 1.0
    assert central_bound(found.eta, found.constant, mean, 0.1) == pytest.approx(found.lower, rel=1e-12)
    # The condition holds with equality: log E exp(-eta h) = -c eta gen_T.
    assert log_moment == pytest.approx(-found.constant * found.eta * mean, rel=1e-12)


def test_edges_of_the_central_bound():
    values, weights = [0.5, 1.0, 3.0], [0.25, 0.25, 0.5]
    assert central_lower_bound(values, weights, 0.0) == (2.125 - 0.25, 0.0, 1.0)
    least = central_lower_bound(values, weights, math.log(4.0))
    assert least[:2] == (0.5, math.inf)
    assert central_lower_bound(values, weights, math.inf).lower == 0.5
    assert central_lower_bound([0.7, 0.7], [0.5, 0.5], 3.0).lower == pytest.approx(0.7)
    almost = central_lower_bound(values, weights, math.log(4.0) - 1e-9)
    assert almost.lower == pytest.approx(0.5, abs=1e-6)
    tiny = central_lower_bound(values, weights, 1e-18)
    variance = 0.25 * (0.5**2 + 1.0) + 0.5 * 9.0 - 1.875**2
    assert 1.875 - tiny.lower == pytest.approx(math.sqrt(2e-18 * variance), rel=1e-5)


def test_a_teacher_with_a_negative_gap_has_no_constant_but_a_bound():
    values, weights = np.array([-1.0, 0.5]), np.array([0.6, 0.4])
    found = central_lower_bound(values, weights, 0.05)
    assert math.isnan(found.constant)
    law = np.array([0.6, 0.4])
    for share in np.linspace(0.5, 0.7, 101):
        other = np.array([share, 1.0 - share])
        if (other * np.log(other / law)).sum() <= 0.05:
            assert values @ other >= found.lower - 1e-12
    with pytest.raises(UserError, match="positive"):
        central_constant(1.0, 0.3, -0.4)
    with pytest.raises(UserError, match="positive"):
        sub_gaussian_constant(1.0, 1.0, 0.0)


def test_infinite_divergence_and_constant_gaps():
    assert upper_bound(0.1, 0.2, math.inf) == math.inf
    assert half_width(0.0, math.inf) == 0.0
    for bad in ((-0.1, 1.0), (0.1, -1.0), (math.nan, 1.0)):
        with pytest.raises(UserError, match="not be negative"):
            half_width(*bad)
