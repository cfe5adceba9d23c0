"""Matched progress: against paths whose gaps are known."""

import numpy as np
import pytest

from kd_uncertainty.deviations.filters import descent_rates, student_filter, teacher_filter
from kd_uncertainty.deviations.matching import matched_gaps, thinned

LEVELS = np.arange(0.05, 0.96, 0.05)
RATES = descent_rates(np.arange(1, 11) ** -1.5, 0.05)


def closed_form(stop, steps=1500):
    """Teacher and student of squared loss, (steps + 1, directions)."""
    teacher = teacher_filter(RATES, np.arange(stop + 1)[:, None])
    return teacher, student_filter(RATES, np.arange(steps + 1)[:, None], stop)


def behind(gaps, tolerance=1e-9):
    decided = np.abs(gaps) > tolerance
    return (gaps[decided] > 0.0).mean()


def test_gaps_of_straight_paths():
    time = np.linspace(0.0, 1.0, 5)[:, None]
    teacher, student = time * [1.0, 0.8, 0.4], time * [0.5, 0.3, 0.25]
    gaps = matched_gaps(teacher, student, np.array([0.5, 1.0]))
    # both reach .5 in the first direction, and .3 in the second
    expected = [[0.05, 0.1], [-0.025, -0.05], [0.075 - 0.125, 0.15 - 0.25]]
    np.testing.assert_allclose(gaps, expected, atol=1e-15)


def test_the_first_crossing_counts():
    path = np.array([[0.0, 0.0], [1.0, 0.5], [0.2, 0.7], [2.0, 0.9]])
    other = np.array([[0.0, 0.0], [2.0, 0.0]])
    gaps = matched_gaps(path, other, np.array([0.25, 0.5, 0.75]))
    np.testing.assert_allclose(gaps, [[0.25, 0.5, 0.7 + 0.2 * 1.3 / 1.8]])


def test_equal_paths_have_no_gap():
    teacher, _ = closed_form(200)
    assert np.abs(matched_gaps(teacher, teacher, LEVELS)).max() == 0.0


def test_every_step_finds_the_student_behind_everywhere():
    for stop in (200, 1000):
        assert behind(matched_gaps(*closed_form(stop), LEVELS)) == 1.0


def test_gaps_are_those_of_the_closed_form():
    """Records of steps so small that the polygon is the curve."""
    from kd_uncertainty.deviations.filters import matched_gap

    rates, stop = np.array([1.0, 0.3]), 3.0
    times = np.linspace(0.0, stop, 20_001)[:, None]
    teacher, student = teacher_filter(rates, times), student_filter(rates, 4 * times, stop)
    reach = min(teacher[:, 0].max(), student[:, 0].max())
    at = -np.log1p(-LEVELS * reach)
    np.testing.assert_allclose(
        matched_gaps(teacher, student, LEVELS)[0], matched_gap(rates[0], rates[1], at, stop), rtol=1e-4
    )


@pytest.mark.parametrize(("stop", "most"), [(200, 0.9), (1000, 0.6)])
def test_a_coarse_record_of_the_student_gives_false_reversals(stop, most):
    """Where not one is true. Chords of the student's convex curve lie above it."""
    teacher, student = closed_form(stop)
    coarse = thinned(student[None], 100)[0]
    assert behind(matched_gaps(teacher, coarse, LEVELS)) < most
    finer = thinned(student[None], 10)[0]
    assert most < behind(matched_gaps(teacher, finer, LEVELS)) < 1.0


def test_thinned_keeps_both_ends():
    paths = np.arange(24.0).reshape(1, 12, 2)
    np.testing.assert_array_equal(thinned(paths, 5)[0, :, 0] / 2, [0, 5, 10, 11])
    np.testing.assert_array_equal(thinned(paths, 1), paths)
