"""Intervals over independent students: jackknife by brute force, coverage by simulation, and the edges."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from kd_uncertainty.uncertainty.students import (
    inter_student_variance,
    mean_difference,
    mean_ratio,
    positive_mean,
    squared_errors,
    student_mean,
    variance_ratio,
)


def population(rng, students, examples=6, rank=2, offset=100.0):
    """Gaussian students whose examples are correlated through a few common directions."""
    return rng.standard_normal((students, rank)) @ rng.standard_normal((rank, examples)) + offset


def jackknife(estimate, leave_out, students, confidence=0.95):
    """Log-scale jackknife interval with each student left out in turn, by the definition; no wider than exp(+-12)."""
    logs = np.log([leave_out(np.delete(np.arange(students), left)) for left in range(students)])
    error = math.sqrt((students - 1) / students * ((logs - logs.mean()) ** 2).sum())
    half = min(stats.t.ppf((1 + confidence) / 2, students - 1) * error, 12.0)
    return estimate, estimate * math.exp(-half), estimate * math.exp(half)


def variance_of(values):
    return values.var(axis=0, ddof=1).mean()


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 25), st.integers(1, 7), st.sampled_from([0.5, 0.9, 0.99]), st.integers(0, 2**32 - 1))
def test_variance_is_the_brute_force_jackknife(students, examples, confidence, seed):
    values = population(np.random.default_rng(seed), students, examples)
    expected = jackknife(variance_of(values), lambda kept: variance_of(values[kept]), students, confidence)
    np.testing.assert_allclose(inter_student_variance(values, confidence), expected, rtol=1e-7)


@settings(max_examples=40, deadline=None)
@given(st.integers(5, 25), st.integers(0, 2**32 - 1))
def test_paired_ratios_are_the_brute_force_jackknife(students, seed):
    rng = np.random.default_rng(seed)
    first = population(rng, students)
    second = first[:, :4] + rng.standard_normal((students, 4))

    def variances(kept):
        return variance_of(first[kept]) / variance_of(second[kept])

    def means(kept):
        return (first[kept, 0] ** 2).mean() / (second[kept, 0] ** 2).mean()

    everyone = np.arange(students)
    np.testing.assert_allclose(
        variance_ratio(first, second), jackknife(variances(everyone), variances, students), rtol=1e-7
    )
    np.testing.assert_allclose(
        mean_ratio(first[:, 0] ** 2, second[:, 0] ** 2), jackknife(means(everyone), means, students), rtol=1e-7
    )
    np.testing.assert_allclose(
        positive_mean(first[:, 0] ** 2),
        jackknife((first[:, 0] ** 2).mean(), lambda kept: (first[kept, 0] ** 2).mean(), students),
        rtol=1e-7,
    )


def test_independent_ratios_add_squared_errors_with_welch_degrees():
    rng = np.random.default_rng(1)
    first, second = population(rng, 9), 2 * population(rng, 30)
    logs = [[math.log(variance_of(np.delete(v, s, axis=0))) for s in range(len(v))] for v in (first, second)]
    one, two = ((len(log) - 1) / len(log) * np.sum((log - np.mean(log)) ** 2) for log in logs)
    degrees = (one + two) ** 2 / (one**2 / 8 + two**2 / 29)
    half = stats.t.ppf(0.975, degrees) * math.sqrt(one + two)
    ratio = variance_of(first) / variance_of(second)
    expected = ratio, ratio * math.exp(-half), ratio * math.exp(half)
    np.testing.assert_allclose(variance_ratio(first, second, paired=False), expected, rtol=1e-9)


def test_means_and_differences_are_those_of_scipy():
    rng = np.random.default_rng(2)
    first, second = rng.lognormal(size=12), rng.lognormal(size=12) + 1
    interval = stats.ttest_1samp(first, 0).confidence_interval(0.9)
    np.testing.assert_allclose(student_mean(first, 0.9), (first.mean(), *interval))
    interval = stats.ttest_rel(first, second).confidence_interval(0.9)
    np.testing.assert_allclose(mean_difference(first, second, 0.9), (first.mean() - second.mean(), *interval))
    interval = stats.ttest_ind(first, second[:7], equal_var=False).confidence_interval(0.9)
    expected = (first.mean() - second[:7].mean(), *interval)
    np.testing.assert_allclose(mean_difference(first, second[:7], 0.9, paired=False), expected)


def test_squared_errors_by_hand():
    found = squared_errors(np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([1.0, 4.0]))
    np.testing.assert_allclose(found, [2.0, 2.5])


def covers(interval, truth):
    return interval.lower <= truth <= interval.upper


@pytest.mark.parametrize(("students", "rank"), [(10, 1), (10, 4), (200, 1), (200, 4)])
def test_95_percent_intervals_cover(students, rank):
    """The variances' truth is exact; ratios are of students that share their random numbers."""
    rng = np.random.default_rng(students + rank)
    loadings = rng.standard_normal((rank, 6))
    truth, hits = (loadings**2).sum(axis=0).mean(), []
    for _ in range(500):
        draws, others = rng.standard_normal((2, students, rank))
        first, second = draws @ loadings, (draws + others) @ loadings
        alone = others @ loadings
        errors, more = squared_errors(first, np.zeros(6)), squared_errors(second, np.zeros(6))
        hits.append(
            [
                covers(inter_student_variance(first), truth),
                covers(variance_ratio(second, first), 2.0),
                covers(variance_ratio(alone, first, paired=False), 1.0),
                covers(student_mean(errors), truth),
                covers(positive_mean(errors), truth),
                covers(mean_ratio(more, errors), 2.0),
                covers(mean_difference(more, errors), truth),
                covers(mean_difference(squared_errors(alone, np.zeros(6)), errors, paired=False), 0.0),
            ]
        )
    rates = np.mean(hits, axis=0)
    lowest = np.full(len(rates), 0.9)
    if students == 10:  # Student's t interval of a skewed chi-squared variable falls short, hence positive_mean
        lowest[[3, 6]] = 0.82, 0.86
    assert (rates >= lowest).all(), rates
    assert (rates <= 0.99).all(), rates


def test_pairing_makes_ratios_and_differences_narrower():
    rng = np.random.default_rng(3)
    first = population(rng, 50)
    second = first + 0.2 * rng.standard_normal(first.shape)

    def width(interval):
        return interval.upper - interval.lower

    assert width(variance_ratio(second, first)) < 0.5 * width(variance_ratio(second, first, paired=False))
    one, two = (squared_errors(values, np.full(6, 100.0)) for values in (second, first))
    assert width(mean_ratio(one, two)) < 0.5 * width(mean_ratio(one, two, paired=False))
    assert width(mean_difference(one, two)) < 0.5 * width(mean_difference(one, two, paired=False))


def test_widths_of_100_000_students_are_those_of_theory():
    values = np.random.default_rng(4).standard_normal((100_000, 3))
    found = inter_student_variance(values)
    expected = 1.96 * math.sqrt(2 / 3 / 100_000)  # of the logarithm, three independent examples
    assert math.log(found.upper / found.estimate) == pytest.approx(expected, rel=0.02)
    assert found.estimate == pytest.approx(variance_of(values), rel=1e-12)


def test_equal_students_have_no_variance_and_no_width():
    equal = np.tile(np.random.default_rng(5).standard_normal(7) / 3, (11, 1))
    varied = population(np.random.default_rng(6), 11)
    assert inter_student_variance(equal) == (0.0, 0.0, 0.0)
    assert variance_ratio(equal, varied) == (0.0, 0.0, 0.0)
    assert variance_ratio(equal, varied, paired=False).estimate == 0.0
    assert variance_ratio(varied, varied) == (1.0, 1.0, 1.0)
    assert mean_ratio(np.zeros(5), np.ones(5)) == (0.0, 0.0, 0.0)
    assert positive_mean(np.zeros(5)) == (0.0, 0.0, 0.0)
    assert student_mean(np.full(11, 0.1)) == (0.1, 0.1, 0.1)
    assert mean_difference(np.full(4, 0.3), np.full(4, 0.1)).lower == pytest.approx(0.2)


@pytest.mark.parametrize("paired", [True, False])
def test_ratios_to_zero_are_not_defined(paired):
    varied, equal = population(np.random.default_rng(7), 6), np.ones((6, 6))
    assert np.isnan(variance_ratio(varied, equal, paired=paired)).all()
    assert np.isnan(variance_ratio(equal, equal, paired=paired)).all()
    assert np.isnan(mean_ratio(np.ones(6), np.zeros(6), paired=paired)).all()


def test_few_students_have_estimates_without_bounds():
    values = population(np.random.default_rng(8), 2)
    for found, estimate in (
        (inter_student_variance(values), variance_of(values)),
        (variance_ratio(2 * values, values), 4.0),
        (student_mean(values[:1, 0]), values[0, 0]),
        (positive_mean(values[:1, 0]), values[0, 0]),
        (mean_ratio(values[:1, 0], values[:1, 1]), values[0, 0] / values[0, 1]),
    ):
        assert found.estimate == pytest.approx(estimate)
        assert np.isnan(found[1:]).all()
    assert np.isnan(inter_student_variance(values[:1])).all()


def test_one_student_that_carries_all_variance_leaves_a_wide_finite_interval():
    values = np.zeros((8, 3))
    values[5] = 1.0
    found = inter_student_variance(values)
    assert found.estimate == pytest.approx(1 / 8)
    assert 0 < found.lower < 1e-4
    assert 1e3 < found.upper < math.inf


def test_a_far_offset_costs_no_digits():
    values = population(np.random.default_rng(9), 20, offset=0.0)
    np.testing.assert_allclose(inter_student_variance(values + 2.0**30), inter_student_variance(values), rtol=1e-6)


@pytest.mark.parametrize(
    "call",
    [
        lambda: inter_student_variance(np.ones(3)),
        lambda: inter_student_variance(np.ones((0, 3))),
        lambda: student_mean(np.ones((2, 2))),
        lambda: student_mean(np.ones(0)),
        lambda: variance_ratio(np.ones((3, 2)), np.ones((4, 2))),
        lambda: mean_ratio(np.ones(3), np.ones(4)),
        lambda: mean_difference(np.ones(3), np.ones(4)),
        lambda: student_mean(np.ones(4), confidence=95.0),
    ],
)
def test_wrong_shapes_pairs_and_confidence_are_refused(call):
    with pytest.raises(ValueError, match="must"):
        call()
