"""Students on common inputs: scikit-learn's coefficients, the closed forms, purity."""

import numpy as np
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.design import make_design, predict
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.linear.population import linear_population, train_students
from kd_uncertainty.population.linear.shared import (
    fit_targets,
    noisy_students,
    parameter_covariance,
    prediction_variance,
)
from tests.population.linear.worlds import regression, relative_error, scikit_learn, seeds_of

STUDENTS = 60_000


@pytest.mark.parametrize("ridge", [0.0, 2.0])
@pytest.mark.parametrize("intercept", [True, False])
def test_every_student_is_scikit_learns_for_the_same_noise(intercept, ridge):
    inputs, means = regression(200, 20)
    std = np.linspace(0.1, 3, 200)
    seeds = seeds_of(40)
    design = make_design(inputs, intercept=intercept, ridge=ridge)
    found = train_students(noisy_students(design, means, std, num_responses=2), seeds)
    noise = (standard_normals(seeds, 0, 200) + standard_normals(seeds, 1, 200)) / 2
    expected = [scikit_learn(inputs, means + std * row, intercept=intercept, ridge=ridge) for row in noise]
    assert relative_error(found, np.array(expected)) < 1e-13
    assert relative_error(fit_targets(design, means + std * noise), np.array(expected)) < 1e-13


@pytest.mark.parametrize("draw", ["examples", "projected"])
@pytest.mark.parametrize("responses", [1, 4])
def test_covariance_is_that_of_theory(draw, responses):
    inputs, means = regression(30, 4)
    sigma = 0.7
    train = noisy_students(make_design(inputs), means, sigma, num_responses=responses, draw=draw)
    points = np.random.default_rng(8).standard_normal((6, 4)) * 3
    found = linear_population(train, seeds_of(STUDENTS), points=points)
    matrix = np.column_stack([inputs, np.ones(30)])
    covariance = sigma**2 * np.linalg.inv(matrix.T @ matrix) / responses
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / (STUDENTS - 1))
    assert (np.abs(found.parameters.covariance - covariance) < 4 * error).all()
    where = np.column_stack([points, np.ones(6)])
    variance = np.einsum("ij,jk,ik->i", where, covariance, where)
    assert (np.abs(found.predictions.variance / variance - 1) < 4 * np.sqrt(2 / (STUDENTS - 1))).all()
    # unbiased
    parameters = np.linalg.lstsq(matrix, means)[0]
    assert (np.abs(found.parameters.mean - parameters) < 4 * np.sqrt(np.diag(covariance) / STUDENTS)).all()
    assert (np.abs(found.predictions.mean - where @ parameters) < 4 * np.sqrt(variance / STUDENTS)).all()


@pytest.mark.parametrize("draw", ["examples", "projected"])
def test_unequal_noise_ridge_and_deficient_rank_have_their_own_covariance(draw):
    inputs, means = regression(25, 3)
    inputs = np.column_stack([inputs, inputs[:, 0] + inputs[:, 1]])
    std = np.linspace(0, 2, 25)
    design = make_design(inputs, ridge=3.0)
    found = linear_population(noisy_students(design, means, std, draw=draw), seeds_of(STUDENTS)).parameters
    centred = inputs - inputs.mean(0)
    hat = np.linalg.solve(centred.T @ centred + 3 * np.eye(4), centred.T)
    hat = np.vstack([hat, np.full(25, 1 / 25) - inputs.mean(0) @ hat])
    covariance = hat @ np.diag(std**2) @ hat.T
    np.testing.assert_allclose(parameter_covariance(design, std), covariance, atol=1e-13)
    error = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / (STUDENTS - 1))
    assert (np.abs(found.covariance - covariance) < 4 * error).all()


def test_closed_forms():
    inputs, _ = regression(30, 4)
    design, matrix = make_design(inputs), np.column_stack([inputs, np.ones(30)])
    covariance = 0.49 * np.linalg.inv(matrix.T @ matrix) / 5
    np.testing.assert_allclose(parameter_covariance(design, 0.7, 5), covariance, atol=1e-15)
    in_sample = prediction_variance(design, inputs, 0.7, 5)
    np.testing.assert_allclose(in_sample, np.einsum("ij,jk,ik->i", matrix, covariance, matrix), rtol=1e-12)
    assert in_sample.mean() == pytest.approx(0.49 * 5 / 30 / 5, rel=1e-12)  # sigma^2 p / (n k)
    without = make_design(inputs, intercept=False)
    expected = 0.49 * np.einsum("ij,jk,ik->i", inputs, np.linalg.inv(inputs.T @ inputs), inputs)
    np.testing.assert_allclose(prediction_variance(without, inputs, 0.7), expected, rtol=1e-12)


def test_projected_students_are_others_of_the_same_distribution():
    inputs, means = regression()
    design, seeds = make_design(inputs), seeds_of(4000)
    full, projected = (
        train_students(noisy_students(design, means, 1.0, draw=draw), seeds) for draw in ("examples", "projected")
    )
    correlation = np.corrcoef(full.T, projected.T)[:6, 6:]
    assert np.abs(correlation).max() < 4 / np.sqrt(4000)


def test_no_noise_gives_the_teacher():
    inputs, means = regression()
    for draw in ("examples", "projected"):
        found = train_students(noisy_students(make_design(inputs), means, 0.0, draw=draw), seeds_of(5))
        np.testing.assert_allclose(predict(found, inputs), np.tile(means, (5, 1)), rtol=1e-13)


@pytest.mark.parametrize("draw", ["examples", "projected"])
@pytest.mark.parametrize("shape", [(200, 20), (37, 3), (404, 13)])
def test_a_student_depends_on_its_seed_alone(shape, draw):
    inputs, means = regression(*shape)
    seeds = seeds_of(7000)
    train = noisy_students(make_design(inputs), means, 0.5, num_responses=2, draw=draw)
    together = train_students(train, seeds)
    np.testing.assert_array_equal(train_students(train, seeds, threads=3), together)
    np.testing.assert_array_equal(train_students(train, seeds[::-1])[::-1], together)
    np.testing.assert_array_equal(train_students(train, seeds[4321:4322]), together[4321:4322])
    cuts = np.split(seeds, [1, 194, 1000, 6999])
    np.testing.assert_array_equal(np.concatenate([train_students(train, cut) for cut in cuts]), together)


def test_fitted_targets_depend_on_their_student_alone():
    inputs, _ = regression(200, 20)
    design = make_design(inputs)
    targets = np.random.default_rng(0).standard_normal((500, 200))
    together = fit_targets(design, targets)
    np.testing.assert_array_equal(np.concatenate([fit_targets(design, row[None]) for row in targets]), together)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"means": np.zeros(59)}, r"shape \(60,\) for 60 examples, not of shape \(59,\)"),
        ({"means": np.full(60, np.nan)}, "must be finite"),
        ({"noise_std": -1.0}, "none of them negative"),
        ({"noise_std": np.ones(3)}, "one finite number or 60"),
        ({"noise_std": np.inf}, "one finite number or 60"),
        ({"num_responses": 0}, "num_responses is 0; set it to 1 or more"),
    ],
)
def test_wrong_arguments_are_refused(change, message):
    inputs, means = regression()
    arguments = {"means": means, "noise_std": 1.0} | change
    with pytest.raises(UserError, match=message):
        noisy_students(make_design(inputs), **arguments)


def test_targets_of_the_wrong_shape_are_refused():
    with pytest.raises(UserError, match=r"not of shape \(3, 5\)"):
        fit_targets(make_design(regression()[0]), np.zeros((3, 5)))


@pytest.mark.parametrize("draw", ["examples", "projected"])
def test_variance_falls_as_one_over_the_responses(draw):
    inputs, means = regression(20, 2)
    design, seeds, counts = make_design(inputs), seeds_of(20_000), np.array([1, 2, 4, 8])
    variances = [
        linear_population(
            noisy_students(design, means, 2.0, num_responses=int(count), draw=draw), seeds
        ).parameters.variance.sum()
        for count in counts
    ]
    slope = np.polyfit(np.log(counts), np.log(variances), 1)[0]
    # log variances have standard error sqrt(2 / (3 students)) or less, the slope that times 1 / |log counts|
    assert abs(slope + 1) < 4 * np.sqrt(2 / 20_000) / np.sqrt(((np.log(counts) - np.log(counts).mean()) ** 2).sum())


@pytest.mark.parametrize("draw", ["examples", "projected"])
def test_inputs_without_information_give_the_mean_of_noise(draw):
    design, means = make_design(np.zeros((9, 2))), np.arange(9.0)
    found = train_students(noisy_students(design, means, 3.0, draw=draw), seeds_of(20_000))
    np.testing.assert_array_equal(found[:, :2], 0)
    assert abs(found[:, 2].mean() - 4) < 4 / np.sqrt(20_000)
    assert abs(found[:, 2].var() - 1) < 4 * np.sqrt(2 / 20_000)
    nothing = make_design(np.zeros((9, 2)), intercept=False)
    np.testing.assert_array_equal(train_students(noisy_students(nothing, means, 3.0, draw=draw), seeds_of(3)), 0)
