"""The recommendation in a world where the answer is known, and that it listens to the validation split alone."""

import json

import numpy as np
import pytest

from kd_uncertainty.comparison.data import Candidate
from kd_uncertainty.comparison.measure import compare
from kd_uncertainty.comparison.recommend import recommendation
from kd_uncertainty.comparison.students import Classroom

from .worlds import FIT, INTERVALS, compared, logits_of, make_data, options, planted, posterior

DATA = make_data()
DIALS = ("teacher", "num_draws", "mixing", "temperature")


@pytest.fixture(scope="module")
def comparison():
    return compared(DATA, planted(DATA))


@pytest.fixture(scope="module")
def advice(comparison):
    return recommendation(comparison, INTERVALS)


def test_the_exact_teacher_is_recommended_over_a_corrupted_one(advice):
    teacher = advice["teacher"]
    assert teacher["recommended"] == teacher["best"] == "exact"
    assert teacher["share_of_resamples"] > 0.95
    gap = advice["differences"]["recommended_to_baseline"]["validation_nll"]
    assert advice["baseline"] == "corrupted"
    assert gap["upper"] < 0.0


def test_the_exact_teacher_beats_the_labels_and_wants_no_labels_beside_it(advice):
    assert advice["differences"]["recommended_to_control"]["validation_nll"]["upper"] < 0.0
    assert advice["mixing"]["recommended"] == 1.0
    assert advice["num_draws"]["recommended"] == 1  # it has no other


def test_more_draws_of_a_biased_posterior_pay():
    """Each draw favours some class everywhere; the mean of many does not."""
    exact = logits_of(DATA)

    def answers(count):
        bias = 3.0 * np.random.default_rng(0).standard_normal((count, 3))
        return (exact[:, None] + bias).astype(np.float32)

    draws = recommendation(compared(DATA, [Candidate("it", "swag", None, False, answers)]), INTERVALS)["num_draws"]
    assert draws["recommended"] == draws["best"] == 8
    assert draws["runner_up"]["value"] == 1
    assert draws["share_of_resamples"] > 0.95


def test_equal_teachers_are_a_tie_that_the_deterministic_one_wins():
    twins = [
        posterior("posterior", "swag", logits_of(DATA), 0.05, None),
        posterior("deterministic", "deterministic", logits_of(DATA), 0.0, 1),
    ]
    advice = recommendation(compared(DATA, twins), INTERVALS)
    assert advice["teacher"]["recommended"] == "deterministic"
    assert all(one["tied"] for one in advice["teacher"]["settings"])
    if advice["teacher"]["best"] == "posterior":
        assert advice["teacher"]["within_noise"]


def test_fewer_draws_win_a_tie():
    draws = recommendation(compared(DATA, [posterior("it", "swag", logits_of(DATA), 0.02, None)]), INTERVALS)[
        "num_draws"
    ]
    assert draws["recommended"] == 1


def test_nothing_is_chosen_on_the_test_split(advice):
    labels = (DATA.test.labels + 1) % 3
    spoilt = DATA._replace(test=DATA.test._replace(labels=labels))
    chosen = options()
    other = recommendation(compare(planted(DATA), spoilt, chosen, Classroom(spoilt, chosen, FIT), INTERVALS), INTERVALS)
    assert [other[dial] for dial in DIALS] == [advice[dial] for dial in DIALS]
    ours, theirs = (one["figures"]["recommended"] for one in (advice, other))
    assert ours["validation"] == theirs["validation"]
    assert ours["test"]["nll"] != theirs["test"]["nll"]


def test_what_is_chosen_follows_the_validation_split():
    """Where validation labels are as the corrupted teacher has them, that teacher is chosen."""
    rotated = posterior("rotated", "mse", logits_of(DATA)[:, [1, 2, 0]], 0.0, 1)  # puts P(c + 1) on c
    teachers = [*planted(DATA)[1:2], rotated]
    spoilt = DATA._replace(validation=DATA.validation._replace(labels=(DATA.validation.labels - 1) % 3))
    chosen = options()
    advice = recommendation(compare(teachers, spoilt, chosen, Classroom(spoilt, chosen, FIT), INTERVALS), INTERVALS)
    assert advice["teacher"]["recommended"] == "rotated"
    assert recommendation(compared(DATA, teachers), INTERVALS)["teacher"]["recommended"] == "exact"


def test_recommended_mixing_and_temperature_go_together(advice, comparison):
    pair = advice["figures"]["recommended"]["cell"]
    assert (pair["mixing"], pair["temperature"]) == (
        advice["mixing"]["recommended"],
        advice["temperature"]["recommended"],
    )
    assert any(cell._asdict() == pair for lesson in comparison.lessons for cell in lesson.outcomes)


def test_differences_are_paired_by_student(advice, comparison):
    lessons = {lesson.candidate.name: lesson for lesson in comparison.lessons}
    ours, theirs = (lessons[name].outcomes[lessons[name].base] for name in ("exact", "corrupted"))
    row = next(one for one in advice["teachers"] if one["teacher"] == "exact")
    gap = ours.metrics["test", "nll"] - theirs.metrics["test", "nll"]
    assert row["test_differences_to_baseline"]["nll"]["estimate"] == pytest.approx(gap.mean())
    assert row["difference_to_baseline"]["estimate"] == pytest.approx((ours.losses - theirs.losses).mean())
    # Five students of common seeds: the paired t interval, by hand.
    half = 2.776445 * gap.std(ddof=1) / np.sqrt(5)
    assert row["test_differences_to_baseline"]["nll"]["upper"] - gap.mean() == pytest.approx(half, rel=1e-5)


def test_it_is_json_without_nan(advice):
    json.loads(json.dumps(advice, allow_nan=False))


def test_without_a_deterministic_teacher_there_is_no_baseline():
    advice = recommendation(compared(DATA, planted(DATA)[1:]), INTERVALS)
    assert advice["baseline"] is None
    assert "baseline" not in advice["figures"]
    assert all(one["difference_to_baseline"] is None for one in advice["teachers"])


def test_a_cross_fitted_teacher_is_no_baseline():
    one = posterior("folds", "deterministic", logits_of(DATA), 0.0, 1, cross_fitted=True)
    assert recommendation(compared(DATA, [one]), INTERVALS)["baseline"] is None


def test_the_worth_of_a_teacher_by_share_of_the_examples(advice, comparison):
    """The exact teacher is worth most where the labels are few."""
    few, everything = advice["few_shot"]
    assert (few["fraction"], everything["fraction"]) == (0.25, 1.0)
    assert few["to_control"]["nll"]["upper"] < 0.0
    assert everything["gain"]["nll"]["estimate"] == 0.0
    lesson = next(one for one in comparison.lessons if one.candidate.name == "exact")
    ours = lesson.outcomes[lesson.base._replace(fraction=0.25)].metrics["test", "nll"]
    theirs = next(one for cell, one in comparison.control.items() if cell.fraction == 0.25).metrics["test", "nll"]
    assert few["to_control"]["nll"]["estimate"] == pytest.approx((ours - theirs).mean())
    assert few["gain"]["nll"]["estimate"] < 0.0
