"""The Gibbs teacher and its pseudo-labels against conditioning, calculus and simulation."""

import numpy as np
import pytest

from kd_uncertainty.bounds.linear_gaussian import (
    checked_covariance,
    draw_pseudo_labels,
    draw_teachers,
    effective_dimension,
    gibbs_covariance,
    linear_gaussian,
    spectrum,
    teacher_covariance,
    teacher_mean,
)
from kd_uncertainty.errors import UserError

from .linear_worlds import SHAPES, gain, sigma_t, within, world


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_at_beta_one_the_teacher_is_the_bayes_posterior(shape):
    """By conditioning the joint Gaussian of one row of weights and its labels."""
    one = world(beta=1.0, **shape)
    X, prior, noise = one.inputs, 1.0 / one.prior_precision, one.label_noise**2
    labels = np.random.default_rng(3).standard_normal((len(one.weights), X.shape[1]))
    seen = prior * X.T @ X + noise * np.eye(X.shape[1])
    pull = prior * X @ np.linalg.inv(seen)
    np.testing.assert_allclose(teacher_mean(one, labels), labels @ pull.T, atol=1e-12)
    np.testing.assert_allclose(teacher_covariance(one), prior * (np.eye(len(X)) - pull @ X.T), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_tempered_teacher_is_the_gibbs_law_of_the_loss(shape):
    """Log density up to a constant: -beta ||Y - W X||^2 / (2 nu^2) - lambda ||W||^2 / 2."""
    one, generator = world(beta=5.0, **shape), np.random.default_rng(1)
    labels = generator.standard_normal((len(one.weights), one.inputs.shape[1]))
    mean, precision = teacher_mean(one, labels), np.linalg.inv(teacher_covariance(one))

    def loss(weights):
        misfit = ((labels - weights @ one.inputs) ** 2).sum() * one.inverse_temperature / one.label_noise**2
        return (misfit + one.prior_precision * (weights**2).sum()) / 2.0

    for _ in range(5):
        weights = generator.standard_normal(one.weights.shape)
        quadratic = np.trace((weights - mean) @ precision @ (weights - mean).T) / 2.0
        assert loss(weights) - loss(mean) == pytest.approx(quadratic, rel=1e-10)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_spectrum_is_that_of_the_matrices(shape):
    one = world(**shape)
    basis, sigma, B = spectrum(one), sigma_t(one), gain(one)
    noise, size = one.label_noise**2, len(one.inputs)

    def check(diagonal, matrix):
        np.testing.assert_allclose((basis.left * diagonal) @ basis.left.T, matrix, atol=1e-12)

    marginal = sigma + noise * B.T @ B
    check(basis.teacher, sigma)
    check(basis.singular**2, one.inputs @ one.inputs.T)
    check(basis.shrinkage, one.prior_precision * sigma)
    check(basis.fit, np.eye(size) - one.prior_precision * sigma)
    check(basis.marginal, marginal)
    check(basis.posterior, np.linalg.inv(np.linalg.inv(marginal) + one.inputs @ one.inputs.T / noise))
    check(basis.observed, noise * np.eye(size) + basis.left * basis.singular**2 * basis.marginal @ basis.left.T)
    np.testing.assert_allclose(basis.mean @ basis.left.T, one.weights @ one.inputs @ B, atol=1e-12)
    hat = one.inverse_temperature / noise * one.inputs.T @ sigma @ one.inputs
    assert effective_dimension(one) == pytest.approx(np.trace(hat), rel=1e-12)
    assert basis.seen.sum() == np.linalg.matrix_rank(one.inputs)


def test_a_gibbs_student_of_the_teachers_temperature_has_its_covariance():
    one = world()
    np.testing.assert_allclose(gibbs_covariance(one), sigma_t(one), atol=1e-13)
    hotter = sigma_t(one._replace(inverse_temperature=3.0 * one.inverse_temperature))
    np.testing.assert_allclose(gibbs_covariance(one, 3.0), hotter, atol=1e-13)


def test_draws_have_the_moments_of_two_stages():
    """Teachers drawn in one stage against labels, posterior mean and posterior draw; pseudo-labels likewise."""
    one, generator, count = world(), np.random.default_rng(5), 40_000
    teachers = draw_teachers(one, count, generator)
    noise = generator.standard_normal((count, 3, 9))
    staged = teacher_mean(one, one.weights @ one.inputs + one.label_noise * noise)
    staged += generator.standard_normal(staged.shape) @ np.linalg.cholesky(sigma_t(one)).T
    for row in range(3):
        for column in range(4):
            assert within(teachers[:, row, column], staged[:, row, column].mean(), 6.0)
            spread = (teachers[:, row, column] - staged[:, row, column].mean()) ** 2
            assert within(spread, staged[:, row, column].var(), 8.0)
    pseudo = draw_pseudo_labels(one, teachers, generator)
    errors = pseudo - teachers @ one.inputs
    assert within((errors**2).mean(axis=(1, 2)), one.label_noise**2)
    assert pseudo.shape == (count, 3, 9)


def test_tiny_and_huge_dials_cost_no_digits():
    """In the worst directions sigma has 12 orders of magnitude; eigenvalues are exact all the same."""
    one = world(rank=2, prior=1e-6, beta=1e5, noise=1e-2)
    basis = spectrum(one)
    assert (basis.teacher[2:] == 1.0 / 1e-6).all()
    assert (basis.fit[2:] == 0.0).all()
    np.testing.assert_allclose(basis.shrinkage + basis.fit, 1.0, rtol=1e-14)
    np.testing.assert_allclose(basis.teacher[:2] * (1e-6 + 1e9 * basis.singular[:2] ** 2), 1.0, rtol=1e-14)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": np.ones((3, 2))}, "do not match"),
        ({"inputs": np.ones((4, 0))}, "none of them empty"),
        ({"inputs": np.full((4, 2), np.nan)}, "finite"),
        ({"label_noise": 0.0}, "label_noise is 0.0"),
        ({"prior_precision": 0.0}, "prior_precision is 0.0"),
        ({"inverse_temperature": -1.0}, "inverse_temperature is -1.0"),
        ({"inverse_temperature": np.inf}, "inverse_temperature is inf"),
    ],
)
def test_worlds_that_cannot_be_are_refused(changes, message):
    given = {"inputs": np.ones((4, 2)), "weights": np.ones((3, 4)), "label_noise": 1.0, "prior_precision": 1.0}
    with pytest.raises(UserError, match=message):
        linear_gaussian(**{**given, "inverse_temperature": 1.0, **changes})


@pytest.mark.parametrize(
    ("covariance", "message"),
    [
        (np.diag([1.0, 1.0, 1.0, 0.0]), "not positive definite"),
        (np.diag([1.0, 1.0, 1.0, -1.0]), "not positive definite"),
        (np.eye(3), r"\(4, 4\) matrix"),
        (np.triu(np.ones((4, 4))), "symmetric"),
        (np.diag([1.0, 1.0, 1.0, np.nan]), "symmetric"),
        (np.array([1.0, 1.0, 1.0, 0.0]), "not positive definite"),
    ],
)
def test_students_without_a_finite_divergence_are_refused(covariance, message):
    with pytest.raises(UserError, match=message):
        checked_covariance(world(), covariance)
