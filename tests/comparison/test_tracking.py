"""Rank correlations over teachers: against SciPy, and in a world where the error tracks and nothing else does."""

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.comparison.tracking import MIN_TEACHERS, rank_correlations, spearman

from .worlds import INTERVALS, compared, logits_of, make_data, posterior

DATA = make_data()


def test_the_correlation_is_scipys():
    generator = np.random.default_rng(0)
    first, second = generator.integers(4, size=(2, 20, 9)).astype(float)
    expected = [stats.spearmanr(one, other).statistic for one, other in zip(first, second, strict=True)]
    np.testing.assert_allclose(spearman(first, second), expected)


def test_a_constant_has_no_correlation():
    assert np.isnan(spearman(np.ones((1, 5)), np.arange(5.0)[None])).all()


def _teachers(count):
    """More and more corrupted, at the training points alone: the teacher's own test figures are all the same."""
    exact = logits_of(DATA)
    found = []
    for level in range(count):
        logits = exact.copy()
        share = level / (count - 1)
        logits[:160] = (1.0 - share) * exact[:160] + share * exact[:160][:, [1, 2, 0]]
        found.append(posterior(f"t{level}", "mse", logits, 0.0, 1))
    return found


def test_the_error_at_the_training_points_tracks_students_and_the_teachers_test_figures_do_not():
    tracks = rank_correlations(
        compared(DATA, _teachers(6), fractions=[1.0], mixing=[1.0], temperature=[1.0]), INTERVALS
    )
    found = {(track["student_metric"], track["teacher_figure"]): track for track in tracks}
    for metric in ("nll", "bayes_error"):
        error = found[metric, "teacher_error"]
        assert error["estimate"] == 1.0
        assert error["lower"] > 0.5
        assert np.isnan(found[metric, "teacher_ece"]["estimate"])
    assert found["accuracy", "teacher_error"]["estimate"] < -0.8
    assert {track["num_teachers"] for track in tracks} == {6}


def test_few_teachers_or_unknown_truth_leave_it_out():
    cells = {"fractions": [1.0], "mixing": [1.0], "temperature": [1.0]}
    assert rank_correlations(compared(DATA, _teachers(MIN_TEACHERS - 1), **cells), INTERVALS) == []
    tracks = rank_correlations(compared(make_data(known=False), _teachers(MIN_TEACHERS), **cells), INTERVALS)
    assert {(track["student_metric"], track["teacher_figure"]) for track in tracks} == {
        (metric, figure) for metric in ("nll", "accuracy") for figure in ("teacher_ece", "teacher_nll")
    }


@pytest.mark.parametrize("confidence", [0.5, 0.95])
def test_wider_confidence_wider_bounds(confidence):
    cells = {"fractions": [1.0], "mixing": [1.0], "temperature": [1.0]}
    intervals = INTERVALS._replace(confidence=confidence)
    track = rank_correlations(compared(DATA, _teachers(5), **cells), intervals)[0]
    assert -1.0 <= track["lower"] <= track["estimate"] <= track["upper"] <= 1.0
