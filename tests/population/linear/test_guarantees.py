"""Formal guarantees of the uncertainty-propagation paper (section 4), on 100,000 and more linear students.

Closed forms are written here with ``numpy.linalg.inv``, and share nothing with the library.
"""

import numpy as np
import pytest

from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.population import linear_population, train_students
from kd_uncertainty.population.linear.shared import noisy_students
from tests.population.linear.worlds import regression, seeds_of

STUDENTS = 100_000
SIGMA = 1.7
GRID = (1, 2, 4, 8, 16, 32, 64)


def world(examples=40, features=6):
    """Correlated inputs far from the origin, a teacher's means, and (X'X)^-1 with the intercept's column last."""
    inputs, means = regression(examples, features, offset=0.5)
    inputs = inputs @ np.random.default_rng(1).standard_normal((features, features)) + 3.0
    extended = np.column_stack([inputs, np.ones(examples)])
    return inputs, means, extended, np.linalg.inv(extended.T @ extended)


def population(num_responses, draw, seed, points=None, students=STUDENTS):
    inputs, means, _, _ = world()
    train = noisy_students(make_design(inputs), means, SIGMA, num_responses=num_responses, draw=draw)
    return linear_population(train, seeds_of(students, base=seed), points=points)


@pytest.mark.parametrize(
    ("num_responses", "draw"), [(1, "examples"), (3, "examples"), (1, "projected"), (7, "projected")]
)
def test_covariance_of_the_parameters_elementwise(num_responses, draw):
    """Cov(b_S) = sigma^2 (X'X)^-1 / k; a Wishart element has variance (C_ij^2 + C_ii C_jj) / (R - 1)."""
    _, means, extended, inverse = world()
    found = population(num_responses, draw, seed=num_responses).parameters
    expected = SIGMA**2 * inverse / num_responses
    variances = np.diagonal(expected)
    error = np.sqrt((expected**2 + np.outer(variances, variances)) / (STUDENTS - 1))
    deviations = (found.covariance - expected) / error
    assert found.students == STUDENTS
    assert np.abs(deviations).max() < 4, deviations
    unbiased = (found.mean - inverse @ extended.T @ means) / np.sqrt(variances / STUDENTS)
    assert np.abs(unbiased).max() < 4, unbiased


@pytest.mark.parametrize(("num_responses", "draw"), [(1, "examples"), (5, "projected")])
def test_in_sample_variance_is_sigma_squared_p_over_n_k(num_responses, draw):
    """p counts the intercept. The mean variance is sigma^2 / (n k) times a mean of p independent chi-squared ones."""
    inputs, _, extended, _ = world()
    examples, parameters = extended.shape
    found = population(num_responses, draw, 10 + num_responses, points=inputs).predictions.variance.mean()
    expected = SIGMA**2 * parameters / (examples * num_responses)
    assert abs(found / expected - 1) < 4 * np.sqrt(2 / (parameters * (STUDENTS - 1)))


@pytest.mark.parametrize("num_responses", [1, 4])
def test_test_error_is_the_teachers_plus_inter_student_variance(num_responses):
    """E[MSE of a student] = MSE of the teacher + mean of sigma^2 x'(X'X)^-1 x / k, on targets the teacher misses."""
    inputs, means, extended, inverse = world()
    generator = np.random.default_rng(2)
    points = generator.standard_normal((40, inputs.shape[1])) * 2 + 3.0
    at_points = np.column_stack([points, np.ones(40)])
    teacher = at_points @ inverse @ extended.T @ means
    truth = teacher + generator.standard_normal(40) + 0.7  # noise and a bias of the teacher
    train = noisy_students(make_design(inputs), means, SIGMA, num_responses=num_responses)
    parameters = train_students(train, seeds_of(STUDENTS, base=20 + num_responses))
    errors = np.concatenate(
        [((predict(part, points) - truth) ** 2).mean(axis=1) for part in np.array_split(parameters, 20)]
    )
    inter_student = SIGMA**2 * np.einsum("pi,ij,pj->p", at_points, inverse, at_points).mean() / num_responses
    expected = ((teacher - truth) ** 2).mean() + inter_student
    error = errors.std(ddof=1) / np.sqrt(STUDENTS)
    assert abs(errors.mean() - expected) < 4 * error
    assert inter_student > 20 * error  # the decomposition is tested, not the teacher alone


def test_variance_falls_as_one_over_k():
    """The log-log slope of the mean in-sample variance over k = 1..64 is -1.000 +- 0.01."""
    inputs, _, _, _ = world()
    variances = [population(k, "projected", 100 + k, points=inputs).predictions.variance.mean() for k in GRID]
    slope = np.polyfit(np.log(GRID), np.log(variances), 1)[0]
    assert abs(slope + 1) < 0.01, slope


def test_variance_falls_as_one_over_k_where_every_response_is_drawn():
    inputs, _, _, _ = world()
    grid = (1, 2, 4, 8)
    variances = [population(k, "examples", 200 + k, points=inputs).predictions.variance.mean() for k in grid]
    slope = np.polyfit(np.log(grid), np.log(variances), 1)[0]
    assert abs(slope + 1) < 0.01, slope
