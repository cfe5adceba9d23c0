import itertools

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.uncertainty.components import (
    COMPONENTS,
    anova_components,
    crossed_design,
    gram_matrices,
    pair_means,
)
from kd_uncertainty.uncertainty.mean_squares import (
    EFFECTS,
    MEAN_SQUARE_STATISTICS,
    level_influences,
    mean_squares,
    sample_mean_squares,
    statistic_weights,
)
from kd_uncertainty.uncertainty.resampling import Multipliers, interval

from .worlds import crossing, effects_world

DEVIATIONS = (1.0, 0.7, 0.4, 0.4, 0.3, 0.3, 0.4)


def sampled(values, shape, seed=0, num_bootstrap=400, num_blocks=256):
    design = crossed_design(crossing(shape))
    gram, shares = gram_matrices(values, design, num_blocks)
    return sample_mean_squares(gram, shares, design, Multipliers(num_bootstrap, seed), "test")


def gram_of(values, shape):
    return gram_matrices(values, crossed_design(crossing(shape)))[0][0]


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 2, 2), (3, 5, 4)])
def test_mean_squares_are_sums_of_squared_contrasts(shape):
    values = effects_world(np.random.default_rng(0), shape, DEVIATIONS, num_examples=3, num_classes=1)
    found = mean_squares(pair_means(gram_of(values, shape), shape), shape)
    grid = values.reshape(*shape, 3)
    for effect, mean_square in zip(EFFECTS, found, strict=True):
        contrast = grid
        for axis, present in enumerate(effect):
            centre = contrast.mean(axis=axis, keepdims=True)
            contrast = contrast - centre if present else np.broadcast_to(centre, contrast.shape)
        degrees = np.prod([n - 1 for n, present in zip(shape, effect, strict=True) if present])
        assert mean_square == pytest.approx(np.square(contrast).sum() / 3 / degrees, rel=1e-10)


@pytest.mark.parametrize("shape", [(4, 3, 2), (6, 1, 3), (5, 1, 1), (1, 1, 1)])
def test_estimates_are_the_population_variance_and_the_anova_components(shape):
    values = effects_world(np.random.default_rng(1), shape, DEVIATIONS, num_examples=9, num_classes=1)
    for num_blocks in (1, 4, 256):
        found = dict(zip(MEAN_SQUARE_STATISTICS, sampled(values, shape, num_blocks=num_blocks).estimates, strict=True))
        assert found.pop("inter") == pytest.approx(values.var(axis=0).sum(axis=1).mean(), abs=1e-12)
        assert found == pytest.approx(anova_components(values, crossing(shape)), abs=1e-12)


def test_influences_add_up_as_components_do_and_cancel_over_levels():
    shape = (5, 3, 2)
    values = effects_world(np.random.default_rng(2), shape, DEVIATIONS)
    for influence in level_influences(gram_of(values, shape), shape):
        np.testing.assert_allclose(influence[:, 1], influence[:, 2:].sum(axis=1), atol=1e-12)
        np.testing.assert_allclose(influence.sum(axis=0), 0.0, atol=1e-12)


@pytest.mark.parametrize("shape", [(8, 3, 3), (4, 4, 3)])
def test_the_estimated_variance_of_each_statistic_is_its_real_one(shape):
    """The mean squared influence against the variance of the estimate over 1200 worlds; examples fixed."""
    rng = np.random.default_rng(3)
    loadings = rng.standard_normal((7, 6, 6)) / 6
    design = crossed_design(crossing(shape))
    estimates, squared = [], []
    for _ in range(1200):
        values = np.zeros((*shape, 6))
        for effect, deviation, loading in zip(EFFECTS, DEVIATIONS, loadings, strict=True):
            levels = tuple(n if present else 1 for n, present in zip(shape, effect, strict=True))
            values = values + deviation * rng.standard_normal((*levels, 6)) @ loading
        gram = gram_matrices(values.reshape(-1, 6, 1), design)[0][0]
        estimates.append(statistic_weights(shape) @ mean_squares(pair_means(gram, shape), shape))
        squared.append(sum(np.square(one).sum(axis=0) for one in level_influences(gram, shape)))
    real, mean = np.var(estimates, axis=0), np.mean(squared, axis=0)
    fourth = np.mean((estimates - np.mean(estimates, axis=0)) ** 4, axis=0)
    error = np.sqrt((fourth - real**2 + np.var(squared, axis=0)) / 1200)
    assert (np.abs(mean - real) < 4 * error).all()
    assert (4 * error < 0.5 * real).all()  # so that an interaction counted twice would be seen


def test_one_factor_has_its_t_interval():
    """With n levels and no examples to vary, log replicates are Student t with n - 1 degrees."""
    points = np.random.default_rng(4).standard_normal((6, 1, 40))
    found = sampled(points, (6, 1, 1), num_bootstrap=20_000)
    influence = level_influences(gram_of(points, (6, 1, 1)), (6, 1, 1))[0][:, 2]
    error = np.sqrt(np.square(influence).sum()) / found.estimates[2]
    lower, upper = interval(np.log(found.replicates[:, 2] / found.estimates[2]), 0.95)
    assert upper == pytest.approx(stats.t.ppf(0.975, 5) * error, rel=0.06)
    assert lower == pytest.approx(-stats.t.ppf(0.975, 5) * error, rel=0.06)


def test_several_factors_have_fewer_tails_than_the_smallest_and_more_than_the_largest():
    values = effects_world(np.random.default_rng(5), (9, 3, 1), (1.0, 1.0, 0, 0, 0, 0, 0), rank=40, num_examples=1)
    found = sampled(values, (9, 3, 1), num_bootstrap=20_000)
    influences = level_influences(gram_of(values, (9, 3, 1)), (9, 3, 1))
    parts = np.array([np.square(one[:, 1]).sum() for one in influences[:2]])
    degrees = parts.sum() ** 2 / (parts**2 / [8, 2]).sum()
    assert 2 < degrees < 10
    design_scale = found.estimates[1]
    _, upper = interval(np.log(found.replicates[:, 1] / design_scale), 0.95)
    assert upper == pytest.approx(stats.t.ppf(0.975, degrees) * np.sqrt(parts.sum()) / design_scale, rel=0.1)


def test_one_level_has_no_component_and_no_width():
    values = effects_world(np.random.default_rng(6), (6, 3, 1), DEVIATIONS)
    found = sampled(values, (6, 3, 1))
    order = MEAN_SQUARE_STATISTICS.index("order")
    assert found.estimates[order] == 0.0
    assert (found.replicates[:, order] == 0.0).all()
    assert found.replicates[:, 1].std() > 0.0
    assert (sampled(values[:1], (1, 1, 1)).replicates == 0.0).all()
    alone = sampled(values[:6], (6, 1, 1))
    assert alone.estimates[MEAN_SQUARE_STATISTICS.index("residual")] == 0.0


def test_two_levels_are_wide_not_zero():
    values = effects_world(np.random.default_rng(7), (8, 2, 3), (0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0), num_examples=1)
    found = sampled(values, (8, 2, 3), num_bootstrap=4000)
    initialisation = MEAN_SQUARE_STATISTICS.index("initialisation")
    lower, upper = interval(found.replicates[:, initialisation] / found.estimates[initialisation], 0.95)
    assert np.log(upper) == pytest.approx(1.96, rel=0.1)
    assert np.log(lower) == pytest.approx(-1.96, rel=0.1)


def test_equal_students_have_no_variance_and_no_width():
    found = sampled(np.broadcast_to(np.arange(9.0)[:, None], (12, 9, 1)), (3, 2, 2))
    np.testing.assert_allclose(found.estimates, 0.0, atol=1e-15)
    np.testing.assert_allclose(found.replicates, 0.0, atol=1e-15)


def test_designs_that_share_levels_have_joint_replicates():
    """Half the response's weight in the second design is the first one's: replicates must correlate."""
    rng = np.random.default_rng(8)
    first = effects_world(rng, (8, 3, 3), DEVIATIONS, num_classes=1)
    second = 0.5 * first + 0.1 * effects_world(rng, (8, 3, 3), DEVIATIONS, num_classes=1)
    one, other = (sampled(values, (8, 3, 3)).replicates[:, 1] for values in (first, second))
    assert np.corrcoef(np.log(one), np.log(other))[0, 1] > 0.5


def test_weights_of_the_statistics_add_up():
    for shape in itertools.product((2, 3, 8), repeat=3):
        weights = dict(zip(MEAN_SQUARE_STATISTICS, statistic_weights(shape), strict=True))
        np.testing.assert_allclose(weights["inter_unbiased"], sum(weights[name] for name in COMPONENTS[1:]), atol=1e-12)
