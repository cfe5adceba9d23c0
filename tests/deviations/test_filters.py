"""The closed-form filters: against 1,000 digits, against gradient descent, and the statement on random tuples."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

from kd_uncertainty.deviations.filters import (
    descent_rates,
    log_lag,
    matched_gap,
    matched_time,
    student_filter,
    student_is_behind,
    teacher_filter,
)

TUPLES = 200_000


def random_tuples(count, seed=0):
    """Rates l1 > l2 over many decades, and times t < T with t near 0, anywhere, and near T."""
    generator = np.random.default_rng(seed)
    top = 10.0 ** generator.uniform(-4, 3, count)
    lower = top * 10.0 ** -generator.choice([generator.uniform(1e-6, 0.01, count), generator.uniform(0.01, 4, count)])
    teacher_time = 10.0 ** generator.uniform(-3, 4, count)
    shares = np.stack(
        [
            10.0 ** generator.uniform(-9, -1, count),
            generator.uniform(0.01, 0.99, count),
            1.0 - 10.0 ** generator.uniform(-9, -1, count),
        ]
    )
    share = shares[generator.integers(0, 3, count), np.arange(count)]
    return top, lower, share * teacher_time, teacher_time


def naive_violations(top, lower, time, teacher_time):
    """The statement as it is written, with 1 - exp(-x)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        share = (1.0 - np.exp(-top * time)) / (1.0 - np.exp(-top * teacher_time))
        matched = -np.log(1.0 - share) / top
        student = (1.0 - np.exp(-lower * matched)) * (1.0 - np.exp(-lower * teacher_time))
        return ~(student < 1.0 - np.exp(-lower * time))


def exact(top, lower, time, teacher_time):
    """Log lags of both and the gap, with 1,000 digits, rounded."""
    with mpmath.workdps(1000):
        l1, l2, t, stop = (mpmath.mpf(float(value)) for value in (top, lower, time, teacher_time))

        def solved(rate):
            return -mpmath.log(1 - (1 - mpmath.exp(-rate * t)) / (1 - mpmath.exp(-rate * stop))) / rate

        matched = solved(l1)
        gap = 1 - mpmath.exp(-l2 * t) - (1 - mpmath.exp(-l2 * matched)) * (1 - mpmath.exp(-l2 * stop))
        return float(mpmath.log(matched - t)), float(mpmath.log(solved(l2) - t)), gap


def test_the_statement_has_no_violation():
    top, lower, time, teacher_time = random_tuples(TUPLES)
    assert ((lower < top) & (time < teacher_time)).all()
    assert (~student_is_behind(top, lower, time, teacher_time)).sum() == 0
    assert (matched_gap(top, lower, time, teacher_time) < 0.0).sum() == 0
    # and it could have been otherwise: of exchanged directions none is behind
    assert not student_is_behind(lower, top, time, teacher_time).any()


def test_the_lower_lag_is_longer_by_more_than_the_ratio_of_the_eigenvalues():
    top, lower, time, teacher_time = random_tuples(TUPLES, seed=1)
    excess = log_lag(lower, time, teacher_time) - log_lag(top, time, teacher_time) - np.log(top / lower)
    size = np.abs(log_lag(top, time, teacher_time)) + 1.0
    assert (excess > -1e-14 * size).all()


def test_the_statement_has_no_violation_for_gradient_descent():
    generator = np.random.default_rng(2)
    products = np.sort(10.0 ** generator.uniform(-5, 0, (2, TUPLES)), axis=0) * 0.999
    lower, top = descent_rates(products / 0.05, 0.05)
    kept = top > lower * (1.0 + 1e-9)
    teacher_time = np.ceil(10.0 ** generator.uniform(0.5, 5, TUPLES))
    time = np.maximum(1.0, np.floor(generator.random(TUPLES) * (teacher_time - 1.0)))
    assert kept.sum() > 0.99 * TUPLES
    assert student_is_behind(top, lower, time, teacher_time)[kept].all()


def test_the_naive_form_gives_false_violations():
    """Rounding of 1 - exp(-x) alone: none of the violations stands with 1,000 digits."""
    tuples = random_tuples(TUPLES)
    violations = naive_violations(*tuples)
    assert violations.mean() > 0.1
    violations &= tuples[0] * tuples[3] < 1000.0  # beyond, even 1,000 digits lose the difference
    assert violations.sum() > 5_000
    for row in np.flatnonzero(violations)[:: violations.sum() // 40]:
        assert exact(*(values[row] for values in tuples))[2] > 0


def test_lags_and_gaps_are_those_of_many_digits():
    tuples = [values[:150] for values in random_tuples(150, seed=3)]
    top, lower, time, teacher_time = tuples
    kept = top * teacher_time < 1000.0  # beyond, even 1,000 digits lose the difference
    assert kept.sum() > 80
    gaps, lags = matched_gap(*tuples), (log_lag(top, time, teacher_time), log_lag(lower, time, teacher_time))
    for row in np.flatnonzero(kept):
        first, second, gap = exact(*(values[row] for values in tuples))
        assert lags[0][row] == pytest.approx(first, rel=1e-12, abs=1e-9)
        assert lags[1][row] == pytest.approx(second, rel=1e-12, abs=1e-9)
        assert gaps[row] == pytest.approx(float(gap), rel=1e-6, abs=1e-300)


def test_the_matched_time_matches():
    rates, times = np.array([[0.1], [1.0], [3.0]]), np.array([0.2, 1.0, 4.0])
    matched = matched_time(rates, times, 5.0)
    np.testing.assert_allclose(student_filter(rates, matched, 5.0), teacher_filter(rates, times), rtol=1e-9)
    gaps = matched_gap(rates[2], rates[1], times, 5.0)
    direct = teacher_filter(rates[1], times) - student_filter(rates[1], matched[2], 5.0)
    np.testing.assert_allclose(gaps, direct, rtol=1e-9)


def test_filters_keep_small_shares():
    assert teacher_filter(1e-12, 1e-6) == pytest.approx(1e-18, rel=1e-12)
    assert student_filter(1e-9, 1e-3, 1e-3) == pytest.approx(1e-24, rel=1e-9)


def test_descent_rates_make_powers():
    steps = np.arange(50)
    np.testing.assert_allclose(np.exp(-descent_rates(0.4, 0.5) * steps), (1 - 0.2) ** steps, rtol=1e-13)


@pytest.mark.parametrize("eigenvalue", [0.0, 2.0, 3.0, np.nan])
def test_descent_rates_refuse_what_oscillates(eigenvalue):
    with pytest.raises(ValueError, match="between 0 and 1"):
        descent_rates([0.1, eigenvalue], 0.5)


def test_the_statement_fails_for_steps_that_oscillate():
    """|1 - eta l| < 1 converges, but is too weak a condition: here eta l1 is about 1.9, eta l2 is 0.5."""
    time, matched, stop = 8, 10, 20

    def filters(power):
        return 1 - power**time, (1 - power**matched) * (1 - power**stop)

    top = brentq(lambda power: np.subtract(*filters(power)), -0.99, -0.5)
    assert filters(top)[0] == pytest.approx(filters(top)[1], rel=1e-12)
    assert abs(top) < 1.0
    assert top < 0.5  # the top direction, and the student is ahead in the lower one
    teacher, student = filters(0.5)
    assert student > teacher + 1e-3


@pytest.mark.parametrize("time", [0.0, 5.0, 6.0])
def test_there_is_no_lag_once_the_teacher_has_stopped(time):
    with pytest.raises(ValueError, match="between 0 and"):
        log_lag(1.0, time, 5.0)
