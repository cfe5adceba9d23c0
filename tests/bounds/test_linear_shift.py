"""The nested estimate of truncated students' algorithm shift against closed forms and plain simulation."""

import numpy as np
import pytest
from scipy.special import logsumexp

from kd_uncertainty.bounds.linear_audit import random_world
from kd_uncertainty.bounds.linear_divergence import divergence, visible_map
from kd_uncertainty.bounds.linear_gaussian import gibbs_covariance, spectrum
from kd_uncertainty.bounds.linear_maps import best_map
from kd_uncertainty.bounds.linear_shift import NestedDraws, algorithm_shift, mutual_information
from kd_uncertainty.bounds.linear_terms import terms

from .linear_worlds import covariance, gain, sigma_t, world


def standard_error(values):
    return values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("beta", [0.3, 4.0, 30.0])
@pytest.mark.parametrize("shape", [{}, {"count": 2}])
def test_at_full_rank_the_estimates_are_consistent_with_the_closed_form(beta, shape):
    """The mutual information is then tight form less divergence, and neither estimate uses that."""
    one = world(beta=beta, **shape)
    student = covariance(4)
    exact = terms(one, 3, student).tight_shift.estimate - divergence(one, visible_map(one), student).algorithm_shift
    below, above = mutual_information(one, 3, student, draws=NestedDraws(num_sets=60), seed=3)
    assert below.mean() <= above.mean()
    assert below.mean() - 3.5 * standard_error(below) < exact < above.mean() + 3.5 * standard_error(above)
    assert above.mean() - below.mean() < 0.1 * exact + 0.02


def test_a_student_that_is_all_noise_tells_nothing_of_its_teacher():
    """Proposals are then the law of W | y itself, up to their fit, and all weights are equal: both estimates are 0."""
    draws = NestedDraws(num_sets=6, num_students=20, num_proposals=2, num_fit=20_000)
    below, above = mutual_information(world(), 1, 1e12 * np.eye(4), draws=draws)
    assert np.abs(below).max() < 0.05
    assert np.abs(above).max() < 0.05


def plain(one, rank, student, sets, inner, seed):
    """E log q_S(w | y) - log q_T(w | y), the mixture from ``inner`` fresh draws of W | y: too low by little."""
    generator = np.random.default_rng(seed)
    sigma, noise, X = sigma_t(one), one.label_noise**2, one.inputs
    marginal, mean = sigma + noise * gain(one).T @ gain(one), one.weights @ X @ gain(one)
    pull = np.linalg.solve(noise * np.eye(X.shape[1]) + X.T @ marginal @ X, X.T @ marginal)
    rest = np.linalg.cholesky(marginal - marginal @ X @ pull)
    precision, teacher_precision = np.linalg.inv(student), np.linalg.inv(sigma)
    constant, teacher_constant = np.linalg.slogdet(precision)[1], np.linalg.slogdet(teacher_precision)[1]
    k = len(one.weights)

    def student_means(teachers):
        fitted = teachers @ X
        left, sizes, right = np.linalg.svd(fitted, full_matrices=False)
        return (left[..., :rank] * sizes[..., None, :rank]) @ right[..., :rank, :] @ np.linalg.pinv(X)

    def log_density(errors, weight, log):
        return k * log / 2.0 - np.einsum("...ij,jk,...ik->...", errors, weight, errors) / 2.0

    values = []
    for _ in range(sets):
        W = mean + generator.standard_normal(one.weights.shape) @ np.linalg.cholesky(marginal).T
        y = W @ X + one.label_noise * generator.standard_normal((k, X.shape[1]))
        w = student_means(W) + generator.standard_normal(W.shape) @ np.linalg.cholesky(student).T
        others = mean + (y - mean @ X) @ pull + generator.standard_normal((inner, *W.shape)) @ rest.T
        mixture = logsumexp(log_density(w - student_means(others), precision, constant)) - np.log(inner)
        values.append(mixture - log_density(w - y @ gain(one), teacher_precision, teacher_constant))
    return np.array(values)


@pytest.mark.parametrize("shape", [{"count": 5}, {"count": 2, "size": 3}])
def test_a_truncated_students_shift_is_that_of_plain_nested_simulation(shape):
    one = world(**{"outputs": 2, "size": 2, "beta": 2.0, **shape})
    student = covariance(len(one.inputs))
    found = terms(one, 1, student, seed=1)
    estimate, lower, upper = algorithm_shift(one, 1, student, found, seed=2, draws=NestedDraws(num_sets=100))
    values = plain(one, 1, student, sets=500, inner=400, seed=4)
    error = np.hypot(standard_error(values), (upper - lower) / 3.92)
    assert abs(values.mean() - estimate) < 3.0 * error
    assert values.mean() < found.tight_shift.estimate + 3.0 * standard_error(values)
    assert lower < estimate < upper


@pytest.mark.parametrize("beta", [0.3, 1.0, 3.0, 20.0])
@pytest.mark.parametrize("rank", [1, 2])
def test_the_nested_shift_stays_below_the_tight_form(beta, rank):
    for seed, shape in enumerate([{}, {"count": 3}, {"rank": 3}]):
        one = world(seed, beta=beta, **shape)
        student = gibbs_covariance(one, 2.0)
        below, above = mutual_information(one, rank, student, seed=seed)
        assert below.mean() + 3.0 * standard_error(below) > 0.0  # the tight form less the shift
        assert above.mean() > below.mean()
        found = terms(one, rank, student, num_draws=1000)
        shift = algorithm_shift(one, rank, student, found, seed=seed)
        assert 0.0 <= shift.lower <= shift.estimate <= found.tight_shift.estimate


def test_a_full_rank_shift_is_exact():
    one = world()
    student = covariance(4)
    found = algorithm_shift(one, 3, student, terms(one, 3, student))
    assert found.lower == found.estimate == found.upper
    expected = divergence(one, visible_map(one), student).algorithm_shift
    assert found.estimate == pytest.approx(expected, rel=1e-12)


@pytest.mark.slow
def test_no_bound_is_violated_by_truncated_students_in_150_configurations():
    generator, literal = np.random.default_rng(5), 0
    for number in range(150):
        one, sharpness = random_world(generator)
        most = min(len(one.weights), int(spectrum(one).seen.sum()))
        if most < 2:
            continue
        rank, student = int(generator.integers(1, most)), gibbs_covariance(one, sharpness)
        found = terms(one, rank, student, num_draws=2000, seed=number)
        shift = algorithm_shift(one, rank, student, found, seed=number)
        assert found.dataset_shift + shift.lower < found.tight_bound.upper
        assert found.dataset_shift + shift.estimate < found.corrected_bound.estimate
        literal += found.literal_form.upper < found.dataset_shift + shift.lower
    assert literal > 4


def test_truncation_by_hand():
    """The best map's truncation is what the nested draws use: W M* = [W X]_r X^+."""
    one = world()
    left, sizes, right = np.linalg.svd(one.weights @ one.inputs, full_matrices=False)
    expected = sizes[0] * np.outer(left[:, 0], right[0]) @ np.linalg.pinv(one.inputs)
    np.testing.assert_allclose(one.weights @ best_map(one.weights, one.inputs, 1), expected, atol=1e-12)


def test_seeds_decide():
    one, draws = world(), NestedDraws(4, 2, 8, 64)
    student = covariance(4)
    first, again = (mutual_information(one, 1, student, draws=draws, seed=1) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    other = mutual_information(one, 1, student, draws=draws, seed=2)
    assert not np.array_equal(first, other)
