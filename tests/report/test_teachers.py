"""Which teacher: sentences follow from figures, tables show the table's rows, and absence is said."""

import math

import pandas as pd
import pytest

from kd_uncertainty.report import make_summary
from kd_uncertainty.report.figures.teachers import ranked_teachers, teacher_comparison_figure
from kd_uncertainty.report.teacher_tables import noise_table, teachers_compared
from kd_uncertainty.report.teachers import in_short, teacher_findings, teachers_json
from kd_uncertainty.report.wording import number

from .teaching import TEACHERS, make_comparison, teacher_comparison, teacher_recommendation


@pytest.fixture
def table():
    return teacher_comparison()


def by_topic(recommendation):
    return {finding.topic: finding for finding in teacher_findings(recommendation)}


def test_the_best_teacher_is_taken_and_the_runner_up_named():
    finding = by_topic(teacher_recommendation())["teacher_choice"]
    assert finding.title == "Take the ensemble teacher"
    assert finding.sentence.startswith(finding.title)
    assert "0.360" in finding.sentence
    assert "runner-up, deterministic" in finding.sentence
    assert "played no part in the choice" in finding.sentence
    assert finding.verdict == "clear"


def test_a_tie_says_that_the_cheaper_one_is_within_noise():
    recommendation = teacher_recommendation(make_comparison(ensemble=0.399))
    finding = by_topic(recommendation)["teacher_choice"]
    assert finding.title == "Take the deterministic teacher"
    assert "within noise" in finding.sentence
    assert finding.verdict == "within noise"
    assert "within noise" in in_short(recommendation)


@pytest.mark.parametrize(
    ("means", "title"),
    [
        ({}, "A Bayesian teacher pays here"),
        ({"ensemble": 0.5, "laplace": 0.5}, "No Bayesian teacher pays here"),
        ({"ensemble": 0.401}, "A Bayesian teacher makes no measurable difference here"),
    ],
)
def test_whether_a_bayesian_teacher_pays(means, title):
    finding = by_topic(teacher_recommendation(make_comparison(**means)))["bayesian_teacher"]
    assert finding.title == title
    assert "against the deterministic one" in finding.sentence


def test_where_labels_are_better_that_is_said():
    means = dict.fromkeys(TEACHERS, 0.9)
    finding = by_topic(teacher_recommendation(make_comparison(**means)))["teacher_control"]
    assert finding.title == "Students of this teacher lose to students of the labels"


def test_draws_mixing_and_temperature():
    found = by_topic(teacher_recommendation())
    assert found["num_draws"].title == "4 draws of the ensemble teacher are enough"
    assert found["mixing"].title == "Mix with weight 1 at temperature 1"
    single = by_topic(teacher_recommendation(make_comparison(mse=0.2)))["num_draws"]
    assert single.title == "The mse teacher has 1 draw to give"


def test_few_examples_are_told_beside_all_of_them():
    finding = by_topic(teacher_recommendation())["few_shot"]
    assert finding.title == "The teacher is worth about as much where examples are few"
    assert "10%" in finding.sentence
    assert "100%" in finding.sentence
    assert by_topic(teacher_recommendation(make_comparison(few=True)))["few_shot"].verdict == "higher"


def test_what_tracks_is_named_and_what_does_not_is_not():
    tracks = [finding for finding in teacher_findings(teacher_recommendation()) if finding.topic == "tracks"]
    assert len(tracks) == 3
    for finding in tracks:
        for track in finding.figures["tracks"]:
            firm = track["lower"] > 0.0 or track["upper"] < 0.0
            assert (f"{number(track['estimate'], 2)}" in finding.sentence) == (track["estimate"] is not None)
            if not firm:
                assert track["teacher_figure"] not in finding.verdict


def test_the_summary_has_it_and_stays_json(tables, task):
    summary = make_summary(task, tables, teacher_recommendation=teacher_recommendation())
    assert summary["teacher_recommendation"]["teacher"]["recommended"] == "ensemble"
    assert make_summary(task, tables)["teacher_recommendation"] is None


def test_clean_labels_of_the_other_splits_are_a_caveat():
    noisy, clean = (teachers_json(teacher_recommendation(), {"label_noise": share})["caveats"] for share in (0.2, 0.0))
    assert len(noisy) == len(clean) + 1
    assert "surer than the training labels warrant" in noisy[-1]


def test_teachers_are_ordered_by_their_students(table):
    view = teachers_compared(table, "test")
    assert [row[0] for row in view.rows] == [*sorted(TEACHERS, key=lambda name: TEACHERS[name][2]), "one-hot control"]
    assert {row[0]: row[1] for row in view.rows}["ensemble"] == "4"
    first = dict(zip(view.header, view.rows[0], strict=True))
    assert first["validation NLL"].startswith("0.360")
    assert first["test NLL"].startswith("0.370")
    assert first["teacher's error"].startswith("0.036")
    control = dict(zip(view.header, view.rows[-1], strict=True))
    assert control["teacher's error"] == "n/a"
    assert control["validation NLL"].startswith("0.600")


def test_noise_is_listed_by_every_definition(table):
    view = noise_table(table)
    assert len(view.rows) == len(TEACHERS) + 1
    assert len(view.header) == 6
    assert noise_table(table[~table["metric"].str.startswith(("noise", "gradient"))]).rows == ()


@pytest.mark.parametrize("narrow", [False, True])
def test_the_figure_shows_every_teacher_draw_and_share(table, narrow):
    figure = teacher_comparison_figure(table, narrow=narrow)
    validation, test = figure.data[0], figure.data[1]
    assert list(validation.x) == pytest.approx(sorted(mean for *_, mean in TEACHERS.values()))
    assert len(test.x) == len(TEACHERS)
    ensemble = [trace for trace in figure.data if trace.name == "ensemble"]
    assert [list(trace.x) for trace in ensemble] == [[1.0, 4.0], [0.1, 1.0]]
    control = next(trace for trace in figure.data if trace.name == "one-hot control")
    assert list(control.y) == pytest.approx([0.79, 0.61])
    assert [trace.name for trace in figure.data if trace.showlegend].count("ensemble") == 1


def test_more_teachers_than_colours_are_left_out_with_a_note(table):
    names = [f"t{index}" for index in range(9)]
    own = table[table["teacher"] == "mse"]
    many = [own.assign(teacher=name, estimate=own["estimate"] + 0.01 * rank) for rank, name in enumerate(names)]
    figure = teacher_comparison_figure(pd.concat([table[table["teacher"] == "none"], *many]))
    assert figure.layout.meta["notes"] == ["Right: 2 teachers with a higher validation NLL left out."]
    assert not any(math.isnan(value) for value in figure.data[0].x)


def test_ranks_use_the_validation_split(table):
    nll = table[(table["metric"] == "nll") & (table["mixing"] == 1.0) & (table["temperature"] == 1.0)].copy()
    nll.loc[nll["split"] == "test", "estimate"] *= -1.0
    assert ranked_teachers(nll)[0] == "ensemble"


def test_nothing_measured_is_said():
    assert "not compared" in teacher_comparison_figure(None).layout.annotations[-1].text
