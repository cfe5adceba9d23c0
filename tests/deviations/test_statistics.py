"""Figures of students against planted relations, and the selection that makes a control necessary."""

import numpy as np
import pytest

from kd_uncertainty.deviations.logits import stable_logit
from kd_uncertainty.deviations.statistics import DEVIATIONS, deviation_statistics, log_odds, slopes
from kd_uncertainty.errors import UserError

from .worlds_confidence import null_world, planted_logits

CLASSES = 4
X = np.linspace(-1.0, 9.0, 100)  # above -log 3, where the class would not be the teacher's choice
ORDER = np.random.default_rng(0).permutation(100)
CHOSEN = np.random.default_rng(1).integers(0, CLASSES, 100)


def figures(y):
    """Figures of students with log-odds ``y`` (students, examples), examples in no order."""
    teacher = planted_logits(X[ORDER], CHOSEN, CLASSES)
    students = planted_logits(np.asarray(y)[..., ORDER], CHOSEN, CLASSES)
    return deviation_statistics(*log_odds(teacher, students))


def test_a_planted_line_gives_its_slope_and_shares():
    found = figures(np.stack([X, 2.0 * X - 3.0, 0.5 * X - 1.0]))
    for name in ("slope", "slope_low_quartile", "slope_high_quartile"):
        np.testing.assert_allclose(found[name], [1.0, 2.0, 0.5], rtol=1e-9)
    # 2 X - 3 crosses the diagonal at 3, X / 2 - 1 at -2.
    np.testing.assert_array_equal(found["low_decile_below"][1:], [1.0, 1.0])
    np.testing.assert_array_equal(found["high_decile_above"][1:], [1.0, 0.0])
    np.testing.assert_array_equal(found["high_decile_below"][1:], [0.0, 1.0])
    low, high = np.median(X[:10]), np.median(X[-10:])
    np.testing.assert_allclose(found["median_shift_low"], [0.0, low - 3.0, -0.5 * low - 1.0], atol=1e-9)
    np.testing.assert_allclose(found["median_shift_high"], [0.0, high - 3.0, -0.5 * high - 1.0], atol=1e-9)
    assert set(found) == set(DEVIATIONS)


def test_quartiles_and_deciles_are_of_the_teachers_confidence():
    """A relation that bends exactly where the quarters end, and flips within a decile."""
    y = np.where(X[24] >= X, 3.0 * X, np.where(X[75] <= X, 0.25 * X, 0.0))
    found = figures(y[None])
    assert found["slope_low_quartile"][0] == pytest.approx(3.0)
    assert found["slope_high_quartile"][0] == pytest.approx(0.25)
    flipped = X + np.where(np.arange(100) < 3, -1.0, 1.0)
    flipped[-4:] -= 2.0
    found = figures(flipped[None])
    assert found["low_decile_below"][0] == 0.3
    assert (found["high_decile_above"][0], found["high_decile_below"][0]) == (0.6, 0.4)


def test_points_on_the_diagonal_are_neither_above_nor_below():
    teacher = planted_logits(X, CHOSEN, CLASSES)
    found = deviation_statistics(*log_odds(teacher, teacher[None]))
    assert (found["low_decile_below"][0], found["high_decile_above"][0], found["high_decile_below"][0]) == (0, 0, 0)
    assert found["slope"][0] == 1.0


def test_slopes_are_those_of_least_squares():
    generator = np.random.default_rng(2)
    x, y = generator.standard_normal((2, 5, 40))
    expected = [np.polyfit(one, other, 1)[0] for one, other in zip(x, y, strict=True)]
    np.testing.assert_allclose(slopes(x, y), expected)
    assert np.isnan(slopes(np.full((1, 9), 0.1), y[:1, :9])).all()


def test_each_student_may_have_a_teacher_of_its_own():
    generator = np.random.default_rng(3)
    teachers, students = 3.0 * generator.standard_normal((2, 4, 60, CLASSES))
    found = deviation_statistics(*log_odds(teachers, students))
    for number in range(4):
        alone = deviation_statistics(*log_odds(teachers[number], students[number : number + 1]))
        for name in DEVIATIONS:
            assert found[name][number] == alone[name][0]


def test_without_any_distillation_slopes_are_not_1_and_most_of_the_lowest_decile_lies_below():
    """Teacher and networks are exchangeable. It is the choice of the class by the teacher that tells them apart."""
    truth, teacher, others = null_world(30, examples=2000)
    found = deviation_statistics(*log_odds(teacher, others))
    for name, null in (("slope", 1.0), ("low_decile_below", 0.5)):
        error = found[name].std(ddof=1) / np.sqrt(30)
        assert abs(found[name].mean() - null) > 5 * error, name
    assert found["low_decile_below"].mean() > 0.75
    # By a class that does not depend on either, exactly half lies below: within 4 standard errors of 2000 examples.
    classes = truth.argmax(axis=-1)
    below = (stable_logit(others, classes) < stable_logit(teacher, classes)).mean(axis=0)
    assert abs(below.mean() - 0.5) < 4 * below.std(ddof=1) / np.sqrt(2000)


@pytest.mark.parametrize(
    ("teacher", "students", "message"),
    [
        ((20, 3), (20, 3), "do not fit"),
        ((20, 3), (2, 20, 4), "do not fit"),
        ((21, 3), (2, 20, 3), "do not fit"),
        ((3, 20, 3), (2, 20, 3), "do not fit"),
        ((9, 3), (2, 9, 3), "deciles of 9 examples cannot be told apart"),
    ],
)
def test_logits_that_do_not_fit_are_refused(teacher, students, message):
    with pytest.raises(UserError, match=message):
        log_odds(np.zeros(teacher), np.zeros(students))
