"""The summary: JSON without NaN, choices on the validation split, the advice in order, what does not pay."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kd_uncertainty.report.deviations import make_summary
from kd_uncertainty.report.deviations.arms import Arm, judged, read_arms, reference_temperature
from kd_uncertainty.report.deviations.schedules import candidates, find, read_schedules

from .study import STUDENTS, SWITCHES, TEACHERS, TEMPERATURES, put


def finding(tables, task, topic: str) -> dict:
    (found,) = [one for one in make_summary(task, tables)["findings"] if one["topic"] == topic]
    return found


def test_it_is_json_and_counts_its_verdicts(tables, task):
    summary = json.loads(json.dumps(make_summary(task, tables, confidence=0.9), allow_nan=False))
    assert summary["study"] == "deviations"
    assert summary["confidence"] == 0.9
    assert sum(summary["verdicts"].values()) == len(summary["claims"]) == 29
    assert summary["verdicts"]["does not hold"] == 1
    assert summary["num_seeds"] == {
        "deviations": 8,
        "switching": 16,
        "eigenspace_pairs": 8,
        "denoising_entries": 16,
    }
    figures = summary["arms"][0]["figures"]["train"]["slope_low_quartile"]
    assert set(figures) == {"student", "control", "difference"}  # the control always stands beside


def test_the_schedule_rests_on_the_validation_nll(tables, task):
    summary = make_summary(task, tables)
    assert summary["choice"]["label"] == "the early-stopped teacher all the way"
    assert summary["recommendation"][0].startswith("Distil from the early-stopped teacher to the end")
    frame = tables["switching"]
    put(frame, 0.1, 0.01, schedule="to_distillation", switch=0.5, teacher="interpolating", metric="nll", split="test")
    assert make_summary(task, tables)["choice"]["schedule"] == "distillation"
    own = {"schedule": "to_distillation", "switch": 0.5, "teacher": "interpolating", "metric": "nll"}
    put(frame, 0.1, 0.01, **own, split="validation")
    text = make_summary(task, tables)["recommendation"][0]
    assert text.startswith("Start on the labels and switch to the interpolating teacher after 50% of training")
    assert "needs no switch" not in text
    put(frame, 0.11, 0.02, schedule="distillation", teacher="interpolating", metric="nll", split="validation")
    assert "needs no switch" in make_summary(task, tables)["recommendation"][0]


def test_a_lucky_and_unsure_schedule_is_not_chosen(tables, task):
    put(tables["switching"], 0.38, 0.3, schedule="to_one_hot", metric="nll", split="validation")
    assert make_summary(task, tables)["choice"]["schedule"] == "distillation"


@pytest.mark.parametrize(
    ("schedule", "words"),
    [("one_hot", "Train on the labels alone:"), ("equal_progress", "Train on the labels alone and stop early, at 30%"),
     ("to_one_hot", "Distil from the interpolating teacher and switch to the labels after 25%")],
)  # fmt: skip
def test_anything_may_win(tables, task, schedule, words):
    put(tables["switching"], 0.1, 0.01, schedule=schedule, metric="nll", split="validation")
    assert make_summary(task, tables)["recommendation"][0].startswith(words)


def test_rivals_are_counted(tables, task):
    rivals = finding(tables, task, "rivals")
    assert rivals["figures"]["tied"] == []
    assert rivals["sentence"].startswith("0 of the 16 other schedules")
    put(tables["switching"], 0.401, 0.02, schedule="equal_progress", metric="nll", split="validation")
    assert len(finding(tables, task, "rivals")["figures"]["tied"]) == 2


def test_teacher_and_temperature_rest_on_validation_accuracy(tables, task):
    found = finding(tables, task, "teacher")
    assert found["title"] == "Take the early-stopped teacher, at temperature 4"
    assert "not told apart from it: early-stopped, τ = 1" in found["sentence"]
    frame = tables["deviations"]
    own = {"statistic": "accuracy", "group": "student", "student": "self", "teacher": "interpolating"}
    put(frame, 0.999, 0.0005, **own, temperature=1.0, split="test")
    assert finding(tables, task, "teacher")["title"] == "Take the early-stopped teacher, at temperature 4"
    put(frame, 0.999, 0.0005, **own, temperature=1.0, split="validation")
    assert finding(tables, task, "teacher")["title"] == "Take the interpolating teacher, at temperature 1"


def test_whether_disobeying_pays_is_said_as_plainly_when_it_does_not(tables, task):
    assert finding(tables, task, "pays")["title"] == "Disobeying pays here"
    frame = tables["gains"]
    frame[["correlation", "lower", "upper"]] = [0.1, -0.3, 0.5]
    found = finding(tables, task, "pays")
    assert found["title"] == "Do not choose students by how much they deviate"
    assert "does not hold either" in found["sentence"]
    frame[["correlation", "lower", "upper"]] = [-0.6, -0.9, -0.2]
    assert finding(tables, task, "pays")["title"] == "Do not look for students that disobey"


def test_advice_comes_in_order(tables, task):
    topics = [one["topic"] for one in make_summary(task, tables)["findings"]]
    assert topics == ["choice", "rivals", "teacher", "pays", "switch", "early", "control"]


def test_switching_is_advised_only_if_it_recovers_the_gain(tables, task):
    assert finding(tables, task, "switch")["title"].startswith("You may start on the labels")
    put(tables["switching"], 0.3, 0.1, "recovered", schedule="to_distillation", switch=0.5)
    assert finding(tables, task, "switch")["title"].startswith("Do not count on")


def test_stopping_early_is_advised_where_it_is_most_of_the_gain(tables, task):
    found = finding(tables, task, "early")
    assert found["title"].startswith("Try stopping early first")
    assert "the same networks, stopped when it was, by 0.0%" in found["sentence"]
    put(tables["switching"], 0.2, 0.1, "recovered", schedule="equal_progress")
    assert finding(tables, task, "early")["title"] == "Stopping early does not replace the teacher"


def test_the_control_is_named_in_the_advice(tables, task):
    sentence = finding(tables, task, "control")["sentence"]
    assert "clear of it in all arms on training points" in sentence
    assert "not clear of it on test points" in sentence


def test_caveats_depend_on_what_was_run(tables, task):
    text = " ".join(make_summary(task, tables)["caveats"])
    assert "goes together" in text
    assert "each teacher was trained once" in text
    assert "no share of it" not in text
    tables["switching"]["recovered"] = float("nan")
    assert "no share of it" in " ".join(make_summary(task, tables)["caveats"])
    assert len(make_summary(task, {})["caveats"]) == 2


def test_without_tables(task):
    summary = make_summary(task, {})
    assert summary["choice"] is None
    assert summary["teacher"] is None
    assert summary["recommendation"] == []
    assert summary["verdicts"]["not measured"] == len(summary["claims"]) == 29


def test_arms_are_read_in_order_with_their_control(tables):
    arms = read_arms(tables)
    assert [(arm.teacher, arm.student, arm.temperature) for arm in arms] == [
        (teacher, student, temperature) for teacher in TEACHERS for student in STUDENTS for temperature in TEMPERATURES
    ]
    assert {arm.control for arm in arms if arm.teacher == "interpolating"} == {"control"}
    early = arms[-1]
    assert early.control == "stopped_control"
    assert early.beside("slope_low_quartile", "train").estimate == pytest.approx(1.02)
    assert early.figure("slope_low_quartile", "train", "control").estimate == pytest.approx(3.0)
    assert early.difference("slope_low_quartile", "train").estimate == pytest.approx(-0.02)
    assert not early.figure("unheard_of", "train").known
    assert [arm.temperature for arm in judged(arms)] == [4.0] * 3


def test_the_reference_temperature_is_the_nearest_by_ratio():
    assert reference_temperature([Arm("t", temperature=one) for one in (1.0, 2.0, 5.0)]) == 5.0
    assert reference_temperature([Arm("t", temperature=one) for one in (2.0, 9.0)]) == 2.0


def test_schedules_are_read_with_one_hot_once(tables):
    schedules = read_schedules(tables)
    assert len(schedules) == 2 * (3 + 2 * len(SWITCHES))
    assert len(candidates(schedules)) == len(schedules) - 1
    assert find(schedules, "interpolating", "to_distillation", 0.6).switch == 0.5
    assert find(schedules, "nobody", "to_distillation", 0.6) is None
    assert find(schedules, "nobody", "distillation") is None


def test_arms_of_a_study_of_soft_labels_are_named_by_their_labels(tables):
    frame = tables["deviations"]
    frame = frame[(frame["student"] == "self") & (frame["temperature"] == 1.0)].drop(columns="student")
    labels = [("exact", 1, 1.0), ("label", 1, 1.0), ("label", 4, 1.0), ("label", 4, 0.5)]
    frames = [
        frame.assign(target=target, num_responses=count, mixing=mixing, weighting="average", arm=number)
        for number, (target, count, mixing) in enumerate(labels)
    ]
    arms = [arm for arm in read_arms({"deviations": pd.concat(frames)}) if arm.teacher == "interpolating"]
    names = ["exact", "label, k = 1", "label, k = 4", "label, k = 4, mixing 0.5"]
    assert [arm.label for arm in arms] == [f"interpolating, {name}, τ = 1" for name in names]
