"""Figures show the tables' figures: shares of V beside the law, mistakes beside the teacher's, answers as bars."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.language.figures import make_figures
from kd_uncertainty.report.language.figures.answers import answers_figure
from kd_uncertainty.report.language.figures.training import training_figure

from ..pages import named, study_of, titles
from .study import SAID, TEACHER_METRICS

LAW = "law of all answers: intra (1 − 1/k) V, inter V/k"


@pytest.fixture(scope="module")
def figures():
    return make_figures(study_of("language").tables())


def test_students_of_all_answers_lie_on_the_law(figures):
    figure = figures["language_law"]
    assert len(titles(figure)) == 8
    for axis, law in (("x", lambda k: 1.0 - 1.0 / k), ("x2", lambda k: 1.0 / k)):
        (points,), (line,) = named(figure, "all k answers", axis), named(figure, LAW, axis)
        np.testing.assert_allclose(line.y, law(np.array(line.x)))
        np.testing.assert_allclose(points.y[1:], law(np.array([2.0, 4.0, 8.0])), atol=1e-12)
        np.testing.assert_allclose(points.x, [1, 2, 4, 8], rtol=0.1)
    assert list(figure.layout.xaxis.ticktext) == ["1", "2", "4", "8"]
    assert set(named(figure, "the teacher’s variance V", "x")[0].y) == {1.0}
    assert points.error_y.array[1] == pytest.approx(0.05 * 0.5 + 1e-4 / 0.5)


def test_averaging_in_the_surrogate_is_drawn_where_the_law_is_about(figures):
    figure = figures["language_law"]
    dashed = named(figure, "averaging in the surrogate")
    assert {trace.xaxis for trace in dashed} == {"x", "x2", "x3", "x4"}  # trained prompts alone
    (between,) = named(figure, "averaging in the surrogate", "x2")
    np.testing.assert_allclose(between.y, [1.0, 0.9, 0.6, 0.4])
    (students,) = named(figure, "averaging (the middle answer)", "x2")
    np.testing.assert_allclose(students.y, [0.9, 0.6, 0.4])


def test_the_surrogate_has_lines_and_points(figures):
    figure = figures["language_surrogate"]
    assert titles(figure)[0] == "within a student (intra): embeddings"
    (line,) = named(figure, "averaging (the middle answer): enumerated", "x2")
    (points,) = named(figure, "averaging (the middle answer)", "x2")
    np.testing.assert_allclose(line.y, [1.0, 0.9, 0.6, 0.4])
    np.testing.assert_allclose(points.y, 1.004 * np.array(line.y))
    assert "12.5% (all k answers, k = 8)" in figure.layout.meta["description"]


def test_mistakes_stand_beside_the_teachers(tables, figures):
    figure, frame = figures["language_errors"], tables["answer_metrics"]
    assert titles(figure)[0] == "accuracy: trained prompts"
    assert titles(figure)[2] == "systematic noise: trained prompts"
    (students,) = named(figure, "all k answers", "x3")
    own = frame[(frame["method"] == "multi") & (frame["metric"] == "systematic_noise") & (frame["split"] == "train")]
    np.testing.assert_allclose(students.y, own["estimate"])
    (teacher,) = named(figure, "the teacher’s own answers", "x3")
    assert set(teacher.y) == {TEACHER_METRICS["systematic_noise"]}


def test_without_references_what_needs_none_is_drawn(tables):
    frame = tables["answer_metrics"]
    tables["answer_metrics"] = frame[frame["metric"].isin(["keeps_modal", "entropy_answers"])]
    figure = make_figures(tables)["language_errors"]
    assert titles(figure) == [
        "keeps the teacher’s modal answer: trained prompts",
        "keeps the teacher’s modal answer: held-out prompts",
        "entropy of answers, nats: trained prompts",
        "entropy of answers, nats: held-out prompts",
    ]
    assert not named(figure, "the teacher’s own answers", "x")


def test_bars_of_answers_add_up_and_run_from_unsure_to_sure(figures):
    figure = figures["language_answers"]
    assert titles(figure) == [
        "What is the chemical symbol of gold? (Au)",
        "What is the opposite of hot? (cold)",
        "What is the plural of mouse? (mice)",
        "Which month comes after May? (June)",
    ]
    rows = list(figure.layout.yaxis.ticktext)
    assert rows[:3] == ["teacher", "single response", "all answers, k = 2"]
    assert rows[-1] == "token probabilities, k = 8"
    (right,), (wrong,), (others,) = (
        named(figure, name, "x") for name in ("right answers", "the most frequent wrong answer", "other answers")
    )
    teacher = next(iter(SAID["What is the chemical symbol of gold?"][1:]))
    assert right.x[0] == pytest.approx(teacher["au"])
    assert right.text[0] == "au"
    assert wrong.x[0] == pytest.approx(teacher["gold"])
    assert others.x[0] == pytest.approx(1.0 - sum(teacher.values()))
    for axis in ("x", "x2", "x3", "x4"):
        total = np.sum([trace.x for trace in figure.data if trace.xaxis == axis], axis=0)
        np.testing.assert_allclose(total, 1.0)


def test_answers_without_references_are_ranked(tables):
    frequencies = tables["answer_frequencies"].drop(columns="correct")
    samples = tables["sample_answers"].drop(columns="reference")
    figure = answers_figure(frequencies, samples)
    assert titles(figure)[0] == "What is the chemical symbol of gold?"
    assert named(figure, "the most frequent answer")
    assert not named(figure, "right answers")
    assert "no references" in figure.layout.meta["description"]
    missing = answers_figure(tables["answer_frequencies"].assign(correct=pd.NA), pd.DataFrame())
    assert titles(missing)[0] == "prompt 3"
    assert named(missing, "the most frequent answer")


def test_long_questions_and_answers_are_cut(tables):
    frequencies = tables["answer_frequencies"].replace({"answer": {"gold": "a rather long answer to read"}})
    samples = tables["sample_answers"].assign(question="Why is this question so long that it does not fit a panel?")
    figure = answers_figure(frequencies, samples, narrow=True)
    assert all(len(title) <= 38 for title in titles(figure))
    (wrong,) = named(figure, "the most frequent wrong answer", "x")
    assert wrong.text[0] == "a rather long…"


def test_training_curves_by_method_or_of_all_students(tables):
    figure = training_figure(tables["student_curves"], tables["plan"])
    (curve,) = named(figure, "averaging (the middle answer)")
    assert curve.y[-1] < 0.2 < curve.y[0]
    assert "60 students" in figure.layout.meta["description"]
    alone = training_figure(tables["student_curves"].rename(columns={"step": "epoch"}), pd.DataFrame())
    assert [trace.name for trace in alone.data] == ["students: interval", "students"]
    assert alone.layout.xaxis.title.text == "epoch"
