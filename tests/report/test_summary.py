"""The summary: JSON-safe, every figure from its table, choices by validation alone."""

import json

import pytest

from kd_uncertainty.report import make_summary
from kd_uncertainty.report.figures import make_figures

from .study import FLOOR_PARTS, figure_of, put


def test_it_is_json_without_nan(tables, task):
    summary = make_summary(task, tables)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_headline_figures_are_the_tables_figures(tables, task):
    summary = make_summary(task, tables)
    assert summary["task"] == task
    assert summary["num_arms"] == 30
    assert summary["num_students"] == 270
    assert summary["num_seeds"] == {"response": 8, "initialisation": 3, "order": 3}
    for row in summary["teachers"]:
        for split in ("validation", "test"):
            expected = figure_of(tables["teacher_metrics"], teacher=row["teacher"], split=split, metric="accuracy")
            assert row["metrics"][split]["accuracy"]["estimate"] == expected
    keys = {"teacher": "ensemble", "target": "exact", "split": "test"}
    for name in ("total", "intra", "inter"):
        expected = figure_of(tables["variance_components"], component=name, **keys)
        assert summary["uncertainty"]["variance"][name]["estimate"] == expected
        expected = figure_of(tables["variance_components"], component=f"{name}_entropy", **keys)
        assert summary["uncertainty"]["entropy"][name]["estimate"] == expected


def test_shares_of_the_choice_follow_the_floor(tables, task):
    shares = make_summary(task, tables)["choice"]["shares"]
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares["initialisation"] == pytest.approx(FLOOR_PARTS["initialisation"], abs=0.02)


def test_budgets_are_the_tables_rows(tables, task):
    budgets = make_summary(task, tables)["response_budget"]
    assert len(budgets) == 5
    for budget, row in zip(budgets, tables["response_budget"].to_dict("records"), strict=True):
        for name in ("response_variance", "floor", "slope", "recommended_num_responses"):
            assert budget[name]["estimate"] == row[name]
            assert budget[name]["upper"] == row[f"{name}_upper"]
        assert budget["extrapolated"] == row["extrapolated"]


def test_the_best_student_is_chosen_by_validation_and_reported_on_test(tables, task):
    students = tables["student_metrics"]
    lucky = students["student"] == 100
    students.loc[lucky & (students["split"] == "validation"), "nll"] = 0.01
    students.loc[lucky & (students["split"] == "test"), "nll"] = 5.0
    students.loc[(students["student"] == 7) & (students["split"] == "test"), "nll"] = 0.001
    best = make_summary(task, tables)["best_student"]
    assert best["student"] == 100
    assert best["metrics"]["test"]["nll"] == 5.0
    assert best["metrics"]["validation"]["nll"] == 0.01


def test_a_teachers_best_arm_is_chosen_by_validation(tables, task):
    frame = tables["arm_metrics"]
    put(frame, 0.01, 0.001, teacher="dropout", target="posterior", num_responses=2, metric="nll", split="validation")
    put(frame, 9.0, 0.001, teacher="dropout", target="posterior", num_responses=2, metric="nll", split="test")
    row = next(row for row in make_summary(task, tables)["teachers"] if row["teacher"] == "dropout")
    assert (row["best_arm"]["target"], row["best_arm"]["num_responses"]) == ("posterior", 2)


def test_the_recommendation_is_the_findings_sentences(tables, task):
    summary = make_summary(task, tables)
    assert summary["recommendation"] == [finding["sentence"] for finding in summary["findings"]]
    topics = [finding["topic"] for finding in summary["findings"]]
    assert topics[0] == "choice"
    assert set(topics) == {"choice", "responses", "bayesian", "control", "sources", "rivals"}


def test_caveats_come_with_their_reasons(tables, task):
    [negative] = make_summary(task, tables)["caveats"]
    assert negative.startswith("4 estimates of a variance component came out below zero")
    tables["plan"]["response_seed"] %= 4
    tables["response_budget"].loc[0, ["slope", "slope_lower", "slope_upper"]] = [-0.7, -0.8, -0.6]
    notes = " ".join(make_summary(task, tables)["caveats"])
    assert "Only 4 response seeds per arm" in notes
    assert "1 of 5 curves do not follow 1/k within the interval of the slope" in notes
    assert "(deterministic, label)" in notes


def test_a_single_response_seed_is_said(tables, task):
    tables["plan"]["response_seed"] = 0
    tables["response_budget"] = tables["response_budget"].iloc[:0]
    summary = make_summary(task, tables)
    assert "1 response seed: the response component cannot be separated" in summary["caveats"][0]
    assert any("every arm has 1 response seed" in sentence for sentence in summary["recommendation"])


def test_own_soft_labels_without_control_or_other_teachers(tables, task):
    mine = {}
    for name, frame in tables.items():
        if name not in ("teacher_curves", "teacher_metrics"):
            kept = frame[frame["teacher"] == "ensemble"] if "teacher" in frame else frame
            mine[name] = kept.assign(teacher="mine") if "teacher" in frame else kept
    summary = make_summary(task, mine)
    assert [row["teacher"] for row in summary["teachers"]] == ["mine"]
    assert summary["teachers"][0]["metrics"] == {}
    assert summary["control"] is None
    assert {finding["topic"] for finding in summary["findings"]} == {"choice", "responses", "sources", "rivals"}
    assert set(make_figures(mine)) == set(make_figures(tables))


def test_nothing_at_all_recommends_nothing(task):
    summary = make_summary(task, {})
    assert summary["choice"] is None
    assert summary["recommendation"] == []
    json.dumps(summary, allow_nan=False)


def test_validation_as_the_shown_split(tables, task):
    summary = make_summary(task, tables, split="validation")
    assert set(summary["choice"]["metrics"]) == {"validation"}
    assert "played no part" not in summary["recommendation"][0]
