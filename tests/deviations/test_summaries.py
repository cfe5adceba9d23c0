"""Intervals of students and differences: against other formulas, and their coverage."""

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.deviations.summaries import Crossed, Independent
from kd_uncertainty.uncertainty.components import crossed_design
from kd_uncertainty.uncertainty.metrics import mean_interval

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("paired", [True, False])
def test_differences_are_the_t_tests_of_scipy(paired):
    first, second = GENERATOR.standard_normal((2, 7))
    found, errors = Independent(0.9, paired).difference(first, second)
    test = stats.ttest_rel(first, second) if paired else stats.ttest_ind(first, second, equal_var=False)
    np.testing.assert_allclose((found.lower, found.upper), test.confidence_interval(0.9))
    assert errors == pytest.approx(test.statistic)


@pytest.mark.parametrize("paired", [True, False])
def test_intervals_of_differences_cover(paired):
    """Of 2000 intervals, .95 +- 4 binomial standard errors (.0049) cover; unequal variances, and a shared effect."""
    summary, generator, covered = Independent(0.95, paired), np.random.default_rng(1), 0
    for _ in range(2000):
        shared = generator.standard_normal(8) if paired else 0.0
        first, second = 0.3 + shared + generator.standard_normal(8), shared + 2.0 * generator.standard_normal(8)
        found, _ = summary.difference(first, second)
        covered += found.lower <= 0.3 <= found.upper
    assert abs(covered / 2000 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 2000)


def test_a_single_pair_has_no_bounds():
    found, errors = Independent(paired=True).difference(np.array([2.0]), np.array([0.5]))
    assert found.estimate == 1.5
    assert np.isnan([found.lower, found.upper, errors]).all()


def crossing(responses, initialisations, orders, offset=0):
    """Seeds of a full crossing, (students, 3)."""
    levels = (np.arange(responses) + 50, np.arange(initialisations) + 10 + offset, np.arange(orders) + 30)
    return np.array([(r, i, o) for r in levels[0] for i in levels[1] for o in levels[2]])


def test_crossed_students_are_compared_at_equal_seeds():
    """Effects of initialisation and order, which students share with their control, cancel exactly."""
    seeds, beside = crossing(4, 3, 2), crossing(1, 3, 2)
    effect = GENERATOR.standard_normal((3, 2))
    response = np.array([0.1, 0.2, 0.3, 0.4])
    student = np.array([response[r - 50] + effect[i - 10, o - 30] for r, i, o in seeds])
    control = np.array([effect[i - 10, o - 30] for _, i, o in beside])
    shuffle = GENERATOR.permutation(len(seeds))
    summary = Crossed(crossed_design(seeds[shuffle]), crossed_design(beside), 0.9)
    found, errors = summary.difference(student[shuffle], control)
    expected = stats.ttest_1samp(response, 0.0)
    np.testing.assert_allclose((found.lower, found.upper), expected.confidence_interval(0.9))
    assert errors == pytest.approx(expected.statistic)
    assert summary.student(student[shuffle]) == pytest.approx(mean_interval(student.reshape(4, 3, 2), 0.9))
    assert summary.control(control) == pytest.approx(mean_interval(control.reshape(1, 3, 2), 0.9))


def test_crossed_students_of_other_seeds_add_their_variances():
    seeds, beside = crossing(1, 5, 1), crossing(1, 4, 1, offset=100)
    student, control = GENERATOR.standard_normal(5), GENERATOR.standard_normal(4)
    found, errors = Crossed(crossed_design(seeds), crossed_design(beside)).difference(student, control)
    error = np.sqrt(student.var(ddof=1) / 5 + control.var(ddof=1) / 4)
    assert errors == pytest.approx((student.mean() - control.mean()) / error)
    assert found.upper - found.estimate == pytest.approx(stats.t.ppf(0.975, 3) * error)
    assert found.estimate == pytest.approx(student.mean() - control.mean())
