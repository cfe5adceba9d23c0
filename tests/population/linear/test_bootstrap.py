"""Weighted students: enumeration, scikit-learn, exact arithmetic, purity."""

import itertools
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear import bootstrap
from kd_uncertainty.population.linear.bootstrap import bootstrap_students, bootstrap_weights, fit_weighted
from kd_uncertainty.population.linear.design import make_design
from kd_uncertainty.population.linear.population import linear_population, train_students
from tests.population.linear.worlds import regression, relative_error, scikit_learn, seeds_of


def noisy_regression(*arguments, **options):
    inputs, targets = regression(*arguments, **options)
    return inputs, targets + np.random.default_rng(9).standard_normal(len(targets))


def test_weights_count_draws_with_replacement():
    weights = bootstrap_weights(seeds_of(20_000), 30, 12)
    assert weights.shape == (20_000, 30)
    assert (weights.sum(1) == 12).all()
    draws = 20_000 * 12
    assert stats.chisquare(weights.sum(0), np.full(30, draws / 30)).pvalue > 1e-3
    # multinomial: Var = m p (1 - p), Cov = -m p^2
    covariance = np.cov(weights.T)
    variance, off = 12 / 30 * (29 / 30), -12 / 30**2
    assert np.abs(np.diag(covariance) - variance).max() < 4 * variance * np.sqrt((2 + 1 / variance) / 20_000)
    assert abs(covariance[np.triu_indices(30, 1)].mean() - off) < 4 * variance / np.sqrt(20_000 * 435)
    times = Counter(weights[:, 3].astype(int))
    expected = 20_000 * stats.binom.pmf(range(4), 12, 1 / 30)
    assert all(abs(times[k] - expected[k]) < 4 * np.sqrt(expected[k]) for k in range(4))


def test_weights_depend_on_seed_and_resample_alone():
    seeds = seeds_of(300)
    weights = bootstrap_weights(seeds, 50, 40)
    np.testing.assert_array_equal(bootstrap_weights(seeds[::-3], 50, 40), weights[::-3])
    assert (bootstrap_weights(seeds, 50, 40, resample=1) != weights).any(axis=1).all()
    more = bootstrap_weights(seeds, 50, 41)  # one more draw, the others stay
    assert ((more - weights).sum(1) == 1).all()
    assert (more >= weights).all()


@pytest.mark.parametrize("size", [2, 3, 4])
@pytest.mark.parametrize("examples", [3, 4])
def test_moments_are_those_of_all_resamples_enumerated(examples, size):
    generator = np.random.default_rng(examples)
    inputs, targets = generator.standard_normal((examples, 1)), generator.standard_normal(examples)
    design = make_design(inputs)
    draws = list(itertools.product(range(examples), repeat=size))  # all equally likely
    fits = []
    for drawn in draws:
        x, y = inputs[list(drawn), 0], targets[list(drawn)]
        spread = ((x - x.mean()) ** 2).sum()
        # one example drawn again and again determines no slope: least norm is 0
        slope = ((x - x.mean()) * (y - y.mean())).sum() / spread if len(set(drawn)) > 1 else 0.0
        fits.append([slope, y.mean() - slope * x.mean()])
    fits = np.array(fits)
    weights = np.array([[drawn.count(i) for i in range(examples)] for drawn in draws], dtype=float)
    np.testing.assert_allclose(fit_weighted(design, weights, targets), fits, rtol=1e-11, atol=1e-12)

    students = 40_000
    found = linear_population(bootstrap_students(design, targets, size), seeds_of(students)).parameters
    deviations = fits - fits.mean(0)
    variance, fourth = (deviations**2).mean(0), (deviations**4).mean(0)
    assert (np.abs(found.mean - fits.mean(0)) < 4 * np.sqrt(variance / students)).all()
    assert (np.abs(found.variance - variance) < 4 * np.sqrt((fourth - variance**2) / students)).all()


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("ridge", [0.0, 0.5])
@pytest.mark.parametrize(("size", "tolerance"), [(20, 1e-9), (50, 1e-12), (100, 1e-13), (200, 1e-13)])
def test_resampled_students_are_those_of_scikit_learn(size, tolerance, ridge, intercept):
    inputs, targets = noisy_regression(200, 20)
    seeds = seeds_of(30)
    design = make_design(inputs, intercept=intercept, ridge=ridge)
    found = train_students(bootstrap_students(design, targets, size), seeds)
    weights = bootstrap_weights(seeds, 200, size)
    expected = [scikit_learn(inputs, targets, intercept=intercept, ridge=ridge, weights=row) for row in weights]
    # 20 draws leave problems that are singular or ill conditioned, whoever solves them
    assert relative_error(found, np.array(expected)) < tolerance


def test_any_weights_and_own_targets():
    inputs, _ = noisy_regression(80, 6, offset=2.0)
    generator = np.random.default_rng(4)
    weights = generator.gamma(0.5, size=(250, 80)) * 10.0 ** generator.integers(-6, 6, size=(250, 1))
    targets = generator.standard_normal((250, 80))
    found = fit_weighted(make_design(inputs), weights, targets)
    expected = [scikit_learn(inputs, y, weights=w) for w, y in zip(weights, targets, strict=True)]
    assert relative_error(found, np.array(expected)) < 1e-11
    shared = fit_weighted(make_design(inputs), weights, targets[0])
    np.testing.assert_allclose(shared[0], found[0], rtol=1e-12)


def test_equal_weights_are_none():
    inputs, targets = noisy_regression()
    design = make_design(inputs)
    found = fit_weighted(design, np.full((1, 60), 0.25), targets)
    np.testing.assert_allclose(found[0], targets @ design.pseudo_inverse, rtol=1e-13)


@pytest.mark.parametrize("intercept", [True, False])
def test_singular_students_have_least_norm(intercept):
    inputs, targets = noisy_regression(40, 6)
    collinear = np.column_stack([inputs, inputs[:, 0] + inputs[:, 1]])
    for table in (inputs, collinear):
        for size in (1, 3, 6, 7, 8, 10, 40):
            seeds = seeds_of(20, base=size)
            design = make_design(table, intercept=intercept)
            found = train_students(bootstrap_students(design, targets, size), seeds)
            weights = bootstrap_weights(seeds, 40, size)
            expected = [scikit_learn(table, targets, intercept=intercept, weights=row) for row in weights]
            assert relative_error(found, np.array(expected)) < 1e-8


def test_nearly_singular_students_are_solved_alone(monkeypatch):
    inputs, targets = noisy_regression(40, 3)
    alone = []
    solve = bootstrap._solve_alone
    monkeypatch.setattr(bootstrap, "_solve_alone", lambda *arguments: alone.append(1) or solve(*arguments))
    weights = np.ones((3, 40))
    weights[1, 4:] = 0  # as many examples as parameters: fine
    fit_weighted(make_design(inputs), weights, targets)
    assert not alone
    weights[1, 3:] = 1e-14  # all but three examples fade
    found = fit_weighted(make_design(inputs), weights, targets)
    assert len(alone) == 1
    assert relative_error(found[[1]], scikit_learn(inputs, targets, weights=weights[1])[None]) < 1e-6
    # an element that is not a number must not count as large enough
    monkeypatch.setattr(bootstrap.torch.linalg, "cholesky_ex", lambda gram: (gram * np.nan, gram[:, 0, 0] * 0))
    alone.clear()
    fit_weighted(make_design(inputs), weights, targets)
    assert len(alone) == 3


def exact_parameters(inputs, targets, weights):
    """Weighted least squares with an intercept in rational arithmetic: no rounding at all."""
    rows = [[*map(Fraction, row), Fraction(1)] for row in inputs.tolist()]
    width = len(rows[0])
    system = [[Fraction(0)] * (width + 1) for _ in range(width)]
    for row, y, w in zip(rows, map(Fraction, targets.tolist()), map(Fraction, weights.tolist()), strict=True):
        for i in range(width):
            for j in range(width):
                system[i][j] += w * row[i] * row[j]
            system[i][width] += w * row[i] * y
    for i in range(width):
        system[i] = [value / system[i][i] for value in system[i]]
        for other in range(width):
            if other != i:
                factor = system[other][i]
                system[other] = [a - factor * b for a, b in zip(system[other], system[i], strict=True)]
    return np.array([float(row[width]) for row in system])


@pytest.mark.parametrize("closeness", [1e-2, 1e-4, 1e-6, 1e-8])
def test_digits_are_lost_by_the_condition_number_and_not_by_its_square(closeness):
    inputs, targets = noisy_regression(30, 4)
    inputs[:, 3] = inputs[:, 0] + closeness * inputs[:, 3]  # condition number near 2 / closeness
    weights = bootstrap_weights(seeds_of(6), 30, 30)
    found = fit_weighted(make_design(inputs), weights, targets)
    expected = np.array([exact_parameters(inputs, targets, row) for row in weights])
    condition = np.linalg.cond(inputs - inputs.mean(0))
    assert relative_error(found, expected) < 20 * condition * np.finfo(float).eps
    # the ordinary normal equations, as a check that the problem is hard
    matrix = np.column_stack([inputs, np.ones(30)])
    plain = [np.linalg.solve(matrix.T @ (w[:, None] * matrix), matrix.T @ (w * targets)) for w in weights]
    assert relative_error(np.array(plain), expected) > 3 * relative_error(found, expected)


@pytest.mark.parametrize("shape", [(200, 20), (37, 3), (50, 10)])
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_a_student_depends_on_its_seed_alone(shape, share):
    inputs, targets = noisy_regression(*shape)
    design, seeds = make_design(inputs), seeds_of(400)
    size = int(share * shape[0])
    train = bootstrap_students(design, targets, size)
    together = train_students(train, seeds)
    np.testing.assert_array_equal(train_students(train, seeds, threads=3), together)
    np.testing.assert_array_equal(train_students(train, seeds[::-1])[::-1], together)
    cuts = np.split(seeds, [1, 8, 195, 399])
    np.testing.assert_array_equal(np.concatenate([train_students(train, cut) for cut in cuts]), together)
    np.testing.assert_array_equal(fit_weighted(design, bootstrap_weights(seeds, shape[0], size), targets), together)


def test_students_with_own_targets_depend_on_themselves_alone():
    inputs, _ = noisy_regression(60, 8)
    design, generator = make_design(inputs), np.random.default_rng(0)
    weights, targets = generator.random((250, 60)), generator.standard_normal((250, 60))
    together = fit_weighted(design, weights, targets)
    alone = [fit_weighted(design, w[None], y[None])[0] for w, y in zip(weights, targets, strict=True)]
    np.testing.assert_array_equal(alone, together)


@pytest.mark.parametrize(
    "weights",
    [np.ones(60), np.ones((2, 59)), np.full((2, 60), np.nan), -np.ones((1, 60)), np.zeros((1, 60)), np.eye(60) - 1e-9],
)
def test_weights_that_are_none_are_refused(weights):
    inputs, targets = regression()
    with pytest.raises(UserError, match="none negative and one positive for each student"):
        fit_weighted(make_design(inputs), weights, targets)


def test_wrong_sizes_and_targets_are_refused():
    inputs, targets = regression()
    design = make_design(inputs)
    with pytest.raises(UserError, match="size is 0; draw at least one"):
        bootstrap_students(design, targets, 0)
    with pytest.raises(UserError, match=r"not of shape \(5,\)"):
        bootstrap_students(design, targets[:5], 3)
    with pytest.raises(UserError, match=r"of shape \(2, 60\)"):
        fit_weighted(design, np.ones((2, 60)), np.ones((3, 60)))


@pytest.mark.parametrize("ridge", [0.0, 1.0])
@pytest.mark.parametrize("scale", [1e-200, 1e-160, 1e160, 1e200])
def test_weighted_students_at_extreme_scales(scale, ridge):
    inputs, targets = regression(40, 3)
    weights = bootstrap_weights(seeds_of(6), 40, 40)
    found = fit_weighted(make_design(inputs * scale, ridge=ridge), weights, targets)
    assert np.isfinite(found).all()
    if ridge == 0 or scale > 1:
        expected = fit_weighted(make_design(inputs), weights, targets)
        assert relative_error(found * [scale, scale, scale, 1.0], expected) < 1e-12
    else:  # the penalty alone is left: coefficients X' W (y - mean) / ridge, and a weighted mean
        means = (weights @ targets) / weights.sum(1)
        expected = (weights * (targets - means[:, None])) @ inputs
        np.testing.assert_allclose(found[:, :3] / scale, expected, rtol=1e-11, atol=1e-11)
        np.testing.assert_allclose(found[:, 3], means, rtol=1e-12)
