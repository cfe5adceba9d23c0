"""The summary: JSON without NaN, a choice on trained prompts, the advice in order, what is left out."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from kd_uncertainty.report.language import make_summary
from kd_uncertainty.report.language.arms import Study, read_study
from kd_uncertainty.report.language.choice import best, eligible, enough
from kd_uncertainty.report.language.findings import teaching

from .study import ARMS, put


def finding(tables, task, topic: str) -> dict:
    (found,) = [one for one in make_summary(task, tables)["findings"] if one["topic"] == topic]
    return found


def put_inter(tables, value: float, room: float, **keys) -> None:
    put(tables["answer_variance"], value, room, split="train", space="embedding", component="inter", **keys)


def test_it_is_json_and_counts_its_verdicts(tables, task):
    summary = json.loads(json.dumps(make_summary(task, tables, confidence=0.9), allow_nan=False))
    assert summary["study"] == "language"
    assert summary["confidence"] == 0.9
    assert sum(summary["verdicts"].values()) == len(summary["claims"]) == 28
    assert summary["num_students"] == 60
    arm = summary["arms"][1]
    assert (arm["method"], arm["num_responses"], arm["label"]) == ("multi", 2, "all answers, k = 2")
    assert arm["shares"]["train"]["embedding"]["intra"]["estimate"] == pytest.approx(0.5)
    assert arm["metrics"]["train"]["accuracy"]["estimate"] == pytest.approx(0.6)
    assert summary["teacher"]["metrics"]["test"]["accuracy"]["estimate"] == pytest.approx(0.62)


def test_arms_are_read_in_order_with_the_teacher_apart(tables):
    study = read_study(tables)
    assert [(arm.method, arm.num_responses) for arm in study.arms] == list(ARMS)
    assert study.teacher.metric("accuracy", "train").estimate == pytest.approx(0.62)
    assert study.single is study.arms[0]
    assert study.spaces() == ["embedding", "answers"]
    assert study.splits == ["train", "test"]
    assert study.spread("test", "answers").estimate == pytest.approx(0.7)
    assert study.law("inter", study.arms[2], "train", "embedding").estimate == pytest.approx(0.125)
    frame = tables["answer_metrics"]
    frame["num_responses"] = frame["num_responses"].astype("Int64").mask(frame["method"] == "teacher")
    assert read_study(tables).teacher.num_responses == 0
    assert read_study({}) == Study()


def test_the_choice_rests_on_trained_prompts_and_on_accuracy_that_does_not_suffer(tables, task):
    summary = make_summary(task, tables)
    assert summary["choice"]["label"] == "token probabilities, k = 8"
    assert summary["recommendation"][0].startswith("Train on the token probabilities along 8 answers to a prompt")
    assert "A single response has inter-student variance 100.0%" in summary["recommendation"][0]
    put_inter(tables, 0.001, 0.0005, method="variance_paper", num_responses=8)  # steady, and measurably less accurate
    assert make_summary(task, tables)["choice"]["label"] == "token probabilities, k = 8"
    frame = tables["answer_variance"]
    put(frame, 0.001, 0.0005, split="test", component="inter", method="multi", num_responses=8)  # held out: no part
    assert make_summary(task, tables)["choice"]["label"] == "token probabilities, k = 8"
    put_inter(tables, 0.001, 0.0005, method="multi", num_responses=8)
    assert make_summary(task, tables)["choice"]["label"] == "all answers, k = 8"


def test_the_surest_arm_wins_and_not_the_luckiest(tables):
    put_inter(tables, 0.001, 0.2, method="multi", num_responses=2)
    assert best(read_study(tables)).label == "token probabilities, k = 8"


def test_without_references_the_modal_answer_is_the_guard(tables, task):
    frame = tables["answer_metrics"]
    tables["answer_metrics"] = frame[~frame["metric"].isin(["accuracy", "systematic_noise", "hallucination"])]
    summary = make_summary({**task, "has_references": False}, tables)
    assert summary["guard"] == "keeps_modal"
    assert "keeps the teacher’s modal answer 90.0%" in summary["recommendation"][0]
    assert any("no reference answers" in caveat for caveat in summary["caveats"])
    assert "mistakes" not in {one["topic"] for one in summary["findings"]}
    assert {arm.num_responses for arm in eligible(read_study(tables))} == {8}  # fewer responses keep it less often


def test_without_any_metric_the_steadiest_arm_is_taken(tables, task):
    summary = make_summary(task, {**tables, "answer_metrics": pd.DataFrame()})
    assert summary["guard"] is None
    assert summary["choice"]["label"] == "token probabilities, k = 8"
    assert "not measurably below" not in summary["recommendation"][0]


def test_rivals_are_counted(tables, task):
    rivals = finding(tables, task, "rivals")
    assert rivals["title"] == "0 of the 11 other ways with as good accuracy cannot be told apart from the choice"
    assert "3 are left out" in rivals["sentence"]
    put_inter(tables, 0.03, 0.02, method="multi", num_responses=8)
    assert finding(tables, task, "rivals")["figures"]["tied"] == ["all answers, k = 8"]


def test_as_few_answers_are_bought_as_suffice(tables, task):
    assert finding(tables, task, "budget")["title"] == "Buy 8 answers a prompt"
    assert "288 answers in all" in finding(tables, task, "budget")["sentence"]
    assert "were not measured" in finding(tables, task, "budget")["sentence"]
    put_inter(tables, 0.026, 0.02, method="token", num_responses=1)
    found = finding(tables, task, "budget")
    assert found["title"] == "Buy 1 answer a prompt"
    assert "k = 8 is not measurably steadier" in found["sentence"]
    study = read_study(tables)
    assert enough(study, best(study)).num_responses == 1


@pytest.mark.parametrize(
    ("method", "k", "words"),
    [
        ("multi", 1, "Train on a single answer to a prompt"),
        ("multi", 4, "Train on all 4 answers to a prompt"),
        ("averaging", 2, "Train on the one answer of 2 that is nearest to their mean"),
        ("token", 1, "Train on the token probabilities along one answer to a prompt"),
        ("my_own", 2, "Train by my own with 2 answers"),
    ],
)
def test_every_way_to_teach_has_its_words(tables, method, k, words):
    study = read_study(tables)
    arm = study.find(method, k) or study.arms[0].__class__(method, k)
    assert teaching(arm) == words


def test_advice_comes_in_order(tables, task):
    topics = [one["topic"] for one in make_summary(task, tables)["findings"]]
    assert topics == ["choice", "rivals", "budget", "single", "uncertainty", "weighting", "mistakes", "held_out"]


def test_the_price_of_weighting_is_told_where_the_surrogate_shows_it(tables, task):
    assert "further from the teacher’s than that of averaging" in finding(tables, task, "weighting")["sentence"]
    rest = {name: frame for name, frame in tables.items() if name != "surrogate"}
    assert "further from the teacher’s" not in finding(rest, task, "weighting")["sentence"]


def test_what_does_not_show_is_said_as_plainly(tables, task):
    frame = tables["answer_variance"]
    put(frame, 0.5, 0.05, method="multi", num_responses=1, component="intra", split="train")
    assert "does not measurably suppress" in finding(tables, task, "single")["title"]
    put(frame, 2.0, 0.05, method="variance_paper", component="inter", split="train")
    put(frame, 2.0, 0.05, method="variance_honest", component="inter", split="train")
    assert finding(tables, task, "weighting")["title"] == "Variance weighting is not worth it"
    metrics = tables["answer_metrics"]
    for name in ("systematic_noise", "hallucination"):
        put(metrics, 0.4, 0.03, metric=name)
    assert finding(tables, task, "mistakes")["title"] == "Do not count on more responses against mistakes"
    put(metrics, 0.6, 0.03, metric="accuracy")
    assert finding(tables, task, "held_out")["title"].startswith("No loss on prompts")


def test_caveats_depend_on_what_was_run(tables, task):
    text = " ".join(make_summary(task, tables)["caveats"])
    assert "cannot be split" in text
    frame = tables["answer_variance"]
    more = frame[frame["component"] == "inter"].assign(component="inter_order")
    tables["answer_variance"] = pd.concat([frame, more])
    assert "cannot be split" not in " ".join(make_summary(task, tables)["caveats"])
    assert len(make_summary(task, {})["caveats"]) == 1


def test_without_tables(task):
    summary = make_summary(task, {})
    assert summary["choice"] is None
    assert summary["recommendation"] == []
    assert summary["verdicts"]["not measured"] == len(summary["claims"]) == 28
    assert make_summary({}, dict.fromkeys(("answer_variance", "surrogate")))["arms"] == []
