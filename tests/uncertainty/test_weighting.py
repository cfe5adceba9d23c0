"""Weighting: unbiased, as good as theory says, and no gain where there can be none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.least_squares import generalised_least_squares
from kd_uncertainty.uncertainty.weighting import (
    METHODS,
    Responses,
    StudentEstimate,
    average,
    blue,
    correlated_estimate,
    inverse_variance_estimated,
    inverse_variance_oracle,
    oracle_variance_ratio,
    pilot_estimate,
    summarise,
    teacher_variance,
)

POSITIVE = st.floats(1e-6, 1e6)
SEEDS = st.integers(0, 2**32 - 1)
MEANS = np.array([-3.0, 0.0, 2.0, 50.0])


def responses_of(rng, students, k, means=MEANS, std=1.5):
    return summarise(means + std * rng.standard_normal((students, k, len(means))))


def known(mean, k=1):
    """Responses whose variance is stated, not estimated."""
    return Responses(np.asarray(mean), np.zeros_like(mean), k)


def assert_mean(values, truth, deviations=4.5):
    error = values.std(axis=0, ddof=1) / math.sqrt(len(values))
    assert (np.abs(values.mean(axis=0) - truth) < deviations * error).all()


def test_the_registry_has_the_names_of_the_remedies_table():
    assert list(METHODS) == ["average", "inverse_variance_oracle", "inverse_variance_estimated", "blue"]
    rng = np.random.default_rng(0)
    responses, student = responses_of(rng, 5, 3), StudentEstimate(MEANS, np.full(4, 0.2))
    for method in METHODS.values():
        found = method(responses, student, 2.25)
        assert found.target.shape == found.weights.shape == found.variance.shape == (5, 4)


@pytest.mark.parametrize("k", [1, 2, 5])
@pytest.mark.parametrize("name", METHODS)
def test_targets_are_unbiased(name, k):
    """With a pilot of its own for each student: the mean over students is the teacher's mean."""
    rng = np.random.default_rng(k)
    responses = responses_of(rng, 20_000, k)
    student = pilot_estimate(MEANS + rng.standard_normal((20_000, 3, 4)))
    if name == "inverse_variance_oracle":
        student = StudentEstimate(MEANS, np.zeros(4))
    assert_mean(METHODS[name](responses, student, 2.25).target, MEANS)
    if k > 1 and name != "inverse_variance_oracle":
        assert_mean(METHODS[name](responses, student, None).target, MEANS)


@settings(max_examples=200, deadline=None)
@given(POSITIVE, POSITIVE, st.integers(1, 50))
def test_known_variances_are_never_worse_than_either_input(noise, student, k):
    responses, estimate = known([[1.0]], k), StudentEstimate(np.zeros(1), np.array([student]))
    found = inverse_variance_estimated(responses, estimate, noise)
    assert found.variance[0, 0] <= min(noise / k, student) * (1 + 1e-12)
    assert found.variance[0, 0] == pytest.approx(1 / (k / noise + 1 / student))
    for one, other in zip(found, blue(responses, estimate, noise), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


@settings(max_examples=200, deadline=None)
@given(POSITIVE, POSITIVE, st.floats(-1, 1))
def test_blue_is_generalised_least_squares_and_beats_inverse_variance(noise, student, correlation):
    covariance = correlation * math.sqrt(noise * student)
    responses, estimate = known([[3.0]]), StudentEstimate(np.array([5.0]), np.array([student]), covariance)
    found, plain = (method(responses, estimate, noise) for method in (blue, inverse_variance_estimated))
    matrix = np.array([[noise, covariance], [covariance, student]])
    expected = generalised_least_squares(np.array([3.0, 5.0]), matrix)
    scale = min(noise, student)
    assert found.variance[0, 0] == pytest.approx(float(expected.variance), rel=1e-6, abs=1e-6 * scale)
    assert found.variance[0, 0] <= min(plain.variance[0, 0], scale) + 1e-7 * scale
    # the same weights only where variances are equal or errors uncorrelated
    if abs(correlation) > 0.01 and max(noise, student) > 1.1 * scale and 1e-3 < noise / student < 1e3:
        assert found.variance[0, 0] < plain.variance[0, 0]


def test_predicted_variances_are_those_of_simulated_targets():
    rng = np.random.default_rng(1)
    covariance = np.array([[0.5, 0.3], [0.3, 0.9]])
    draws = rng.multivariate_normal([0.0, 0.0], covariance, (40_000, 1))
    responses = Responses(draws[..., 0], np.zeros((40_000, 1)), 4)
    student = StudentEstimate(draws[..., 1], np.array([0.9]), np.array([0.3]))
    variances = []
    for method in (average, inverse_variance_estimated, blue):
        found = method(responses, student, 4 * 0.5)
        assert abs(found.target.var() / found.variance[0, 0] - 1) < 4 * math.sqrt(2 / 40_000)
        variances.append(found.variance[0, 0])
    assert variances[2] < 0.99 * min(variances[:2])


@pytest.mark.parametrize("k", [1, 2, 3, 5, 20])
def test_the_oracle_has_its_variance_ratio(k):
    rng, count = np.random.default_rng(10 + k), 200_000
    noise = 1.5 * rng.standard_normal((count // 4, k, 4))
    responses = summarise(MEANS + noise)
    found = inverse_variance_oracle(responses, StudentEstimate(MEANS, np.full(4, math.nan)), 2.25)
    squares = ((found.target - MEANS) ** 2).ravel() / (2.25 / k)
    assert abs(squares.mean() - oracle_variance_ratio(k)) < 4 * squares.std() / math.sqrt(count)
    np.testing.assert_allclose(found.weights, 2.25 / (2.25 + noise.var(axis=1)), rtol=1e-9)
    np.testing.assert_allclose(found.variance, oracle_variance_ratio(k) * 2.25 / k)
    if k == 1:
        np.testing.assert_array_equal(found.weights, 1.0)
        np.testing.assert_array_equal(found.target, responses.mean)


@pytest.mark.parametrize("k", [2, 3, 4, 9, 50, 1000])
def test_the_oracle_ratio_is_the_integral(k):
    found, _ = integrate.quad(
        lambda u: (1 + stats.chi2.ppf(u, k - 1) / k) ** -2, 0, 1, epsabs=1e-11, epsrel=1e-11, limit=500
    )
    assert oracle_variance_ratio(k) == pytest.approx(found, abs=2e-8)


def test_the_oracle_ratio_falls_from_1_to_a_quarter():
    ratios = [oracle_variance_ratio(k) for k in range(1, 60)]
    assert ratios[0] == 1.0
    assert (np.diff(ratios) < 0).all()
    assert oracle_variance_ratio(10**7) == pytest.approx(0.25, abs=1e-6)
    with pytest.raises(ValueError, match="at least 1"):
        oracle_variance_ratio(0)


def test_pooled_variance_is_consistent_at_two_responses_and_stated_at_one():
    rng, points = np.random.default_rng(2), 40_000
    responses = responses_of(rng, 3, 2, np.zeros(points))
    found = teacher_variance(responses)
    assert (np.ptp(found, axis=1) == 0).all()
    assert (np.abs(found[:, 0] / 2.25 - 1) < 4 * math.sqrt(2 / points)).all()  # chi-squared, one degree a point
    one = responses_of(rng, 3, 1)
    np.testing.assert_array_equal(teacher_variance(one, 2.25), np.full((3, 4), 2.25))
    per_point = np.array([1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(teacher_variance(one, per_point), np.tile(per_point, (3, 1)))
    with pytest.raises(UserError, match="one response a point"):
        teacher_variance(one)
    for method in (inverse_variance_estimated, blue):
        with pytest.raises(UserError, match="state noise_variance"):
            method(one, StudentEstimate(MEANS, np.ones(4)))
    assert np.isnan(average(one).variance).all()
    with pytest.raises(UserError, match="the oracle needs the true noise_variance"):
        inverse_variance_oracle(one, StudentEstimate(MEANS, np.ones(4)), None)
    for wrong in (-1.0, math.nan, math.inf):
        with pytest.raises(UserError, match="must be finite and not negative"):
            teacher_variance(one, wrong)


def test_shrinkage_lies_between_each_point_and_all():
    rng = np.random.default_rng(3)
    values = rng.standard_normal((2, 4, 5))
    own, pooled = values.var(axis=1, ddof=1), values.var(axis=1, ddof=1).mean(axis=1, keepdims=True)
    responses = summarise(values)
    np.testing.assert_allclose(teacher_variance(responses, prior_degrees=0.0), own)
    np.testing.assert_allclose(teacher_variance(responses, prior_degrees=6.0), (6 * pooled + 3 * own) / 9)
    np.testing.assert_allclose(teacher_variance(responses, 7.0, 6.0), (6 * 7.0 + 3 * own) / 9)


def test_pooling_makes_weights_nearly_those_of_the_known_variance():
    """At k = 2 per-point variances have one degree of freedom, and the weights pay for it; pooled ones do not."""
    rng, points = np.random.default_rng(4), 200
    responses = responses_of(rng, 300, 2, np.zeros(points))
    student = StudentEstimate(math.sqrt(0.8) * rng.standard_normal((300, points)), np.full(points, 0.8))
    best = 1 / (2 / 2.25 + 1 / 0.8)
    pooled = inverse_variance_estimated(responses, student).target.var()
    alone = inverse_variance_estimated(responses, student, prior_degrees=0.0).target.var()
    assert pooled < best * 1.03
    assert alone > best * 1.1


def test_independent_pilots_average_and_own_fits_keep_their_covariance():
    rng = np.random.default_rng(5)
    pilots, means = rng.standard_normal((2, 6, 3))
    found = pilot_estimate(pilots)
    np.testing.assert_allclose(found.mean, pilots.mean(axis=0))
    np.testing.assert_allclose(found.variance, pilots.var(axis=0, ddof=1) / 6)
    assert found.covariance == 0.0
    own = correlated_estimate(pilots[0], pilots, means)
    for point in range(3):
        expected = np.cov(means[:, point], pilots[:, point])
        assert own.covariance[point] == pytest.approx(expected[0, 1])
        assert own.variance[point] == pytest.approx(expected[1, 1])
    for call in (lambda: pilot_estimate(pilots[:1]), lambda: correlated_estimate(pilots, pilots[:1], means[:1])):
        with pytest.raises(UserError, match="at least 2"):
            call()


def test_variances_of_zero_leave_the_teacher():
    student = StudentEstimate(np.zeros(4), np.zeros(4))
    for method in (inverse_variance_estimated, blue):
        found = method(known(MEANS[None]), student, 0.0)
        np.testing.assert_array_equal(found.target, MEANS[None])
        np.testing.assert_array_equal(found.variance, 0.0)


def hat_matrix(points=30, features=4):
    inputs = np.column_stack([np.ones(points), np.random.default_rng(6).standard_normal((points, features))])
    return inputs @ np.linalg.inv(inputs.T @ inputs) @ inputs.T


def test_own_fits_of_linear_students_leave_nothing_to_gain():
    """Cov(ybar_i, f_i) = Var(f_i): BLUE takes f alone, and the student fitted to it is the one fitted to ybar."""
    hat, rng = hat_matrix(), np.random.default_rng(7)
    responses = responses_of(rng, 50, 3, hat @ rng.standard_normal(30))
    fitted, leverage = responses.mean @ hat, np.diagonal(hat) * 2.25 / 3
    student = StudentEstimate(fitted, leverage, leverage)
    found = blue(responses, student, 2.25)
    np.testing.assert_allclose(found.weights, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.variance, np.tile(leverage, (50, 1)))
    np.testing.assert_allclose(found.target @ hat, fitted, atol=1e-12)
    # by Gauss and Markov the retrained student of plain inverse variance has at least the variance of averaging
    weights = inverse_variance_estimated(responses, student, 2.25).weights[0]
    retrained = hat @ (np.diag(weights) + np.diag(1 - weights) @ hat)
    assert (np.diagonal(retrained @ retrained.T) >= np.diagonal(hat) - 1e-12).all()
    assert np.trace(retrained @ retrained.T) > np.trace(hat) * (1 + 1e-6)
    # and covariances estimated from pilots that repeat the procedure show the same
    pilots = responses_of(rng, 4000, 3, np.zeros(30)).mean
    estimated = correlated_estimate(fitted, pilots @ hat, pilots)
    assert np.abs(blue(responses, estimated, 2.25).weights).max() < 0.1


@pytest.mark.parametrize("pilot_responses", [1, 3, 12])
def test_an_independent_pilot_of_a_linear_student_does_not_beat_averaging_what_it_cost(pilot_responses):
    """Exact: the retrained student's in-sample variance, in units of sigma^2, at the same number of responses."""
    hat, k = hat_matrix(), 3
    equal_budget = np.trace(hat) / (k + pilot_responses)

    def retrained(weights):
        direct, through = hat @ np.diag(weights) / math.sqrt(k), hat @ np.diag(1 - weights) @ hat
        return np.trace(direct @ direct.T) + np.trace(through @ through.T) / pilot_responses

    student = StudentEstimate(np.zeros(30), np.diagonal(hat) / pilot_responses)
    weights = inverse_variance_estimated(known(np.zeros((1, 30)), k), student, 1.0).weights[0]
    assert retrained(weights) > equal_budget * 1.01
    assert retrained(np.full(30, k / (k + pilot_responses))) == pytest.approx(equal_budget)
    if pilot_responses < k:  # less than the average over k alone, with one response more to pay
        assert retrained(weights) > np.trace(hat) / k


@pytest.mark.parametrize("values", [np.ones((3, 4)), np.ones((3, 0, 4))])
def test_responses_have_three_axes(values):
    with pytest.raises(ValueError, match="students, k, points"):
        summarise(values)


@settings(max_examples=30, deadline=None)
@given(SEEDS)
def test_moments_are_those_of_the_responses(seed):
    values = np.random.default_rng(seed).standard_normal((3, 4, 5)) + 10
    found = summarise(values)
    np.testing.assert_allclose(found.mean, values.mean(axis=1))
    np.testing.assert_allclose(found.variance, ((values - values.mean(axis=1, keepdims=True)) ** 2).mean(axis=1))
    assert found.num_responses == 4
