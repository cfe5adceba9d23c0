"""The stage on the small environment: its table is made of its teachers, and the report does without it."""

import json

import numpy as np
import pandas as pd

from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.report.page import render_report
from kd_uncertainty.teachers import collection


def test_every_teacher_of_the_section_taught_students(finished):
    options = finished.catalog().load("params:classification.teacher_comparison")
    options = TeacherComparisonOptions.model_validate(options)
    table = finished.load("classification.teacher_comparison")
    assert set(table["teacher"]) == {*options.posteriors, "none"}
    students = table[(table["metric"] == "nll") & (table["split"] == "test")]
    assert set(students["fraction"]) == set(options.fractions)
    ensemble = students[(students["teacher"] == "ensemble") & (students["fraction"] == 1.0)]
    assert set(ensemble["num_draws"]) == {1, 2}
    assert set(students.loc[students["teacher"] == "deterministic", "num_draws"]) == {1}
    assert (table["num_students"] == options.num_seeds).all()


def test_the_kept_teachers_are_those_that_taught(finished):
    """The error of a deterministic teacher, from its file, is that of the table."""
    from kd_uncertainty.tasks.examples import bayes_probabilities, example_tensors

    examples = finished.load("classification.examples")
    teacher = collection.from_nested(finished.load("classification.compared_teachers"))["deterministic"]
    train = example_tensors(examples, "train")
    logits = collection.posterior_logits(teacher, train.inputs, [0], 0)[0].double()
    error = ((logits.softmax(-1).numpy() - bayes_probabilities(examples, "train")) ** 2).sum(axis=1).mean()
    table = finished.load("classification.teacher_comparison")
    row = table[(table["teacher"] == "deterministic") & (table["metric"] == "teacher_error")]
    np.testing.assert_allclose(row["estimate"], error, rtol=1e-5)


def test_a_teacher_of_the_same_name_and_options_is_the_study_s_own(finished):
    own, compared = (
        collection.from_nested(finished.load(f"classification.{name}"))["deterministic"].parameters
        for name in ("teachers", "compared_teachers")
    )
    assert all((own[name] == compared[name]).all() for name in own)


def test_the_recommendation_is_on_the_page_and_in_the_summary(finished):
    summary, recommendation = (
        finished.load(f"classification.{name}") for name in ("summary", "teacher_recommendation")
    )
    own = summary["teacher_recommendation"]
    assert {name: own[name] for name in recommendation} == json.loads(json.dumps(recommendation))
    page = finished.path("classification.report").read_text()
    assert "Which teacher?" in page
    assert own["findings"][0]["title"] in page
    assert 'data-figure="teacher_comparison"' in page


def test_the_report_does_without(finished):
    summary = finished.load("classification.summary") | {"teacher_recommendation": None}
    page = render_report(summary, {}, {"arm_metrics": pd.DataFrame()}, {})
    assert "Not measured: the teachers were not compared" in page
