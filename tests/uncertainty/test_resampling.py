import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.uncertainty.components import crossed_design
from kd_uncertainty.uncertainty.resampling import (
    MAX_LOG_DEVIATION,
    Multipliers,
    example_deviations,
    interval,
    level_deviations,
    resample,
)

from .worlds import crossing


def test_multipliers_depend_on_their_key_only():
    first, second = Multipliers(50, 1), Multipliers(50, 1)
    second.level("order", 3)
    second.blocks("test", 9)
    np.testing.assert_array_equal(first.level("response", 7), second.level("response", 7))
    np.testing.assert_array_equal(first.blocks("test", 5), second.blocks("test", 5))
    draws = [
        first.level("response", 7),
        first.level("response", 8),
        first.level("order", 7),
        Multipliers(50, 2).level("response", 7),
    ]
    assert np.abs(np.corrcoef(draws) - np.eye(4)).max() < 0.6


def test_seeds_of_64_bits_make_keys():
    assert np.isfinite(Multipliers(5, 2**62).level("response", 2**62 + 1)).all()


def test_level_multipliers_are_student_t():
    multipliers = Multipliers(50_000, 0)
    draws = multipliers.level("order", 0) * multipliers.scale("order", 4)
    assert stats.kstest(draws, stats.t(3).cdf).pvalue > 1e-3


def test_two_levels_have_normal_multipliers():
    assert (Multipliers(9, 0).scale("order", 2) == 1.0).all()


def test_level_deviations_by_hand():
    design = crossed_design(crossing((3, 2, 1)))
    multipliers = Multipliers(20, 0)
    influences = [np.array([[1.0], [2.0], [-3.0]]), np.array([[0.5], [-0.5]]), np.array([[99.0]])]
    expected = multipliers.scale("response", 3) * sum(
        weight * multipliers.level("response", level) for level, weight in enumerate((1.0, 2.0, -3.0))
    ) + 0.5 * (multipliers.level("initialisation", 0) - multipliers.level("initialisation", 1))
    np.testing.assert_allclose(level_deviations(influences, design, multipliers)[:, 0], expected, atol=1e-12)


def test_example_deviations_have_the_variance_of_a_mean():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((30, 2)) * [1.0, 5.0]
    found = example_deviations(values, np.full(30, 1 / 30), Multipliers(40_000, 0), "test")
    np.testing.assert_allclose(found.std(axis=0), values.std(axis=0, ddof=1) / np.sqrt(30), rtol=0.02)


def test_a_single_block_does_not_vary():
    assert (example_deviations(np.ones((1, 2)), np.ones(1), Multipliers(5, 0), "test") == 0.0).all()


def test_resample_is_additive_when_small_and_logarithmic_when_large():
    estimates, scale = np.array([1.0, 0.2, 0.3]), np.array([1.0, 0.5, 0.0])
    small = np.full((1, 3), 1e-6)
    np.testing.assert_allclose(resample(estimates, small, scale)[0, :2], estimates[:2] + 1e-6, atol=1e-11)
    large = resample(estimates, np.full((1, 3), -1e9), scale)[0]
    np.testing.assert_allclose(large, [np.exp(-MAX_LOG_DEVIATION), -0.3 + 0.5 * np.exp(-MAX_LOG_DEVIATION), 0.3])
    assert np.isfinite(resample(estimates, np.full((1, 3), 1e9), scale)).all()


def test_interval_ignores_nan():
    replicates = np.r_[np.linspace(0, 1, 101), np.nan][:, None]
    lower, upper = interval(replicates, 0.9)
    assert (lower[0], upper[0]) == (pytest.approx(0.05), pytest.approx(0.95))
