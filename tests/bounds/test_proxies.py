"""Proxies against closed forms and brute force."""

import math

import numpy as np
import pytest
from scipy.special import gammaln

from kd_uncertainty.bounds.proxies import (
    bounded_difference_certificate,
    bounded_difference_proxy,
    cumulant_certificate,
    cumulant_proxy,
    hoeffding_certificate,
    stability_certificate,
    stability_proxy,
    std_proxy,
)
from kd_uncertainty.errors import UserError


def brute_force(values, weights):
    """The supremum over a dense grid, in plain arithmetic, from below."""
    centred = values - values @ weights
    slopes = np.geomspace(1e-2, 1e4, 20_001) / np.abs(centred).max()
    slopes = np.concatenate([-slopes, slopes])
    exponents = slopes[:, None] * centred
    shift = exponents.max(axis=1)
    log_moments = shift + np.log(np.exp(exponents - shift[:, None]) @ weights)
    return math.sqrt(max((2.0 * log_moments / slopes**2).max(), weights @ centred**2))


@pytest.mark.parametrize("p", [0.4999, 0.4, 0.1, 1e-3, 1e-6, 1e-12, 1e-200])
def test_two_values_have_the_sigma_of_kearns_and_saul(p):
    expected = math.sqrt((1.0 - 2.0 * p) / (2.0 * math.log((1.0 - p) / p)))
    for values in ([1.0, 0.0], [-1.0, 0.0]):
        found = cumulant_certificate(values, [p, 1.0 - p])
        assert expected * (1.0 - 1e-9) <= found <= expected * (1.0 + 1e-6)


@pytest.mark.parametrize("values", [[-1.0, 1.0], [-3.0, -1.0, 1.0, 3.0], list(range(11))])
def test_strictly_sub_gaussian_laws_have_their_standard_deviation(values):
    """Rademacher and uniform laws; the supremum is at l = 0."""
    found = cumulant_proxy(values)
    assert np.std(values) <= found <= np.std(values) * (1.0 + 1e-6)


@pytest.mark.parametrize("seed", range(15))
def test_the_supremum_is_that_of_a_dense_grid(seed):
    generator = np.random.default_rng(seed)
    values = generator.normal(size=8) ** (1 + 2 * (seed % 2)) * 10.0 ** generator.integers(-6, 6)
    weights = generator.dirichlet(np.full(8, 0.2 + seed % 3))
    found, below = cumulant_certificate(values, weights), brute_force(values, weights)
    assert below * (1.0 - 1e-9) <= found <= below * (1.0 + 2e-6)


@pytest.mark.parametrize("seed", range(15))
def test_hoeffding_is_above_the_cumulant_proxy_and_that_above_the_standard_deviation(seed):
    generator = np.random.default_rng(seed)
    values, weights = generator.exponential(size=9), generator.dirichlet(np.full(9, 0.5))
    std, cumulant = std_proxy(values, weights), cumulant_certificate(values, weights)
    hoeffding = hoeffding_certificate(values.min(), values.max())
    assert std <= cumulant <= hoeffding * (1.0 + 1e-6)
    assert cumulant_proxy(values) >= np.std(values)


def test_sigma_scales_and_does_not_shift():
    values, weights = np.array([0.0, 1.0, 5.0]), np.array([0.7, 0.2, 0.1])
    one = cumulant_certificate(values, weights)
    assert cumulant_certificate(-1e6 * values + 1e5, weights) == pytest.approx(1e6 * one, rel=1e-6)
    assert cumulant_certificate([2.0, 2.0], [0.5, 0.5]) == 0.0
    assert cumulant_proxy([3.0]) == 0.0


def test_the_standard_deviation_of_a_law_and_of_a_sample():
    assert std_proxy([0.0, 1.0], [0.25, 0.75]) == pytest.approx(math.sqrt(3.0) / 4.0)
    assert std_proxy([0.0, 1.0, 5.0]) == pytest.approx(np.std([0.0, 1.0, 5.0], ddof=1))


def test_the_standard_deviation_is_no_certificate():
    """A rare large gap: moving all mass there costs log(1 / p), and the interval by the std does not contain it."""
    p = 1e-3
    values, weights, divergence = [1.0, 0.0], [p, 1.0 - p], math.log(1.0 / p)
    reached = 1.0 - p
    assert std_proxy(values, weights) * math.sqrt(2.0 * divergence) < reached
    assert cumulant_certificate(values, weights) * math.sqrt(2.0 * divergence) >= reached


def test_mcdiarmid_and_stability_agree_with_their_formulas():
    assert bounded_difference_proxy([3.0, 4.0]) == pytest.approx(2.5)
    assert bounded_difference_certificate(0.2, 25, 0.0) == pytest.approx(0.5)
    assert bounded_difference_proxy([3.0], spread=4.0) == pytest.approx(2.5)
    assert stability_proxy(0.02, 16, 3.0) == pytest.approx(4 * 0.02 + 3.0 / 8.0)
    assert stability_certificate(0.02, 16, 3.0, 0.0) == stability_proxy(0.02, 16, 3.0)


@pytest.mark.parametrize("size", [1, 5, 20, 80])
def test_a_deterministic_stable_teacher_is_as_narrow_as_certified(size):
    """The mean of n bits under the squared loss, h(D, f) of exact binomial law."""
    ones = np.arange(size + 1)
    chance = 0.3
    weights = np.exp(
        gammaln(size + 1) - gammaln(ones + 1) - gammaln(size - ones + 1)
        + ones * math.log(chance) + (size - ones) * math.log(1 - chance)
    )  # fmt: skip
    fitted = ones / size
    population = chance * (1 - fitted) ** 2 + (1 - chance) * fitted**2
    gaps = population - fitted * (1 - fitted)  # the empirical loss is f (1 - f)^2 + (1 - f) f^2
    weights /= weights.sum()
    exact = cumulant_certificate(gaps, weights)
    measured = np.abs(np.diff(gaps)).max()
    differences = bounded_difference_certificate(measured, size, 0.0)
    beta = max(np.abs(np.diff(fitted**2)).max(), np.abs(np.diff((1 - fitted) ** 2)).max())
    assert exact <= differences * (1 + 1e-6) <= stability_certificate(beta, size, 1.0, 0.0) * (1 + 2e-6)


def test_a_randomised_teacher_needs_its_spread():
    """A coin beside the data: bounded differences are 0, and only the spread certifies the interval."""
    assert bounded_difference_certificate(0.0, 10, 2.0) >= cumulant_certificate([-1.0, 1.0], [0.5, 0.5]) * (1 - 1e-6)
    assert bounded_difference_proxy(np.zeros(10)) == 0.0


@pytest.mark.parametrize(
    ("call", "match"),
    [
        (lambda: std_proxy([1.0]), "at least two"),
        (lambda: cumulant_proxy([1.0, math.nan]), "finite"),
        (lambda: cumulant_proxy([]), "at least one"),
        (lambda: cumulant_certificate([1.0, 2.0], [0.5, 0.4]), "sum to 1"),
        (lambda: cumulant_certificate([1.0, 2.0], [1.5, -0.5]), "probabilities"),
        (lambda: hoeffding_certificate(1.0, 0.0), "no finite range"),
        (lambda: hoeffding_certificate(0.0, math.inf), "no finite range"),
        (lambda: bounded_difference_proxy([-1.0]), "not negative"),
    ],
)
def test_what_is_no_law_or_range_is_refused(call, match):
    with pytest.raises(UserError, match=match):
        call()
