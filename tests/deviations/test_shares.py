"""Shares of a gain against the paired t-test that they invert, and against their nominal coverage."""

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.deviations._shares import gain_share, is_clear


def gains(seed=0, share=0.7, count=8, noise=0.3):
    generator = np.random.default_rng(seed)
    whole = 1.0 + noise * generator.standard_normal(count)
    return share * whole + 0.2 * generator.standard_normal(count), whole


def test_all_of_a_gain_is_1_and_none_of_it_0():
    _, whole = gains()
    assert gain_share(whole, whole) == (1.0, 1.0, 1.0)
    assert gain_share(0.0 * whole, whole) == (0.0, 0.0, 0.0)
    assert gain_share(-2.0 * whole, whole) == pytest.approx((-2.0, -2.0, -2.0))


@pytest.mark.parametrize("share", [-0.4, 0.7, 1.6])
@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_bounds_are_the_shares_that_a_paired_t_test_just_refuses(share, confidence):
    part, whole = gains(share=share)
    estimate, lower, upper = gain_share(part, whole, confidence)
    assert lower < estimate == part.mean() / whole.mean() < upper
    for bound in (lower, upper):
        assert stats.ttest_1samp(part - bound * whole, 0.0).pvalue == pytest.approx(1.0 - confidence)


def test_intervals_cover_as_often_as_they_say():
    """Within four standard errors of 2000 repetitions."""
    found = [gain_share(*gains(seed), confidence=0.9) for seed in range(2000)]
    covered = np.mean([lower <= 0.7 <= upper for _, lower, upper in found])
    assert covered == pytest.approx(0.9, abs=4 * np.sqrt(0.09 / 2000))


@pytest.mark.parametrize("mean", [-1.0, 0.0, 0.1])
def test_of_no_clear_gain_there_are_no_shares(mean):
    part, whole = gains()
    unclear = whole - whole.mean() + mean
    assert not is_clear(unclear)
    assert np.isnan(gain_share(part, unclear)).all()
    assert np.isnan(gain_share(unclear, unclear)).all()


def test_a_gain_is_clear_when_its_t_interval_says_so():
    _, whole = gains(noise=1.0)
    p_value = stats.ttest_1samp(whole, 0.0, alternative="greater").pvalue
    assert is_clear(whole, 1.0 - 2.0 * p_value - 1e-6)
    assert not is_clear(whole, 1.0 - 2.0 * p_value + 1e-6)


def test_arguments_that_make_no_pairs_are_refused():
    with pytest.raises(ValueError, match="as many each"):
        gain_share(np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match="confidence must be between"):
        gain_share(*gains(), confidence=1.0)
