"""The summary: JSON-safe, figures from the tables, choices by validation alone."""

from __future__ import annotations

import json
import math

import pandas as pd

from kd_uncertainty.report.regression import make_summary

from .study import FLOOR, TEACHER_MSE


def test_it_is_json_without_nan(tables, task):
    summary = make_summary(task, tables)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert summary["study"] == "regression"
    assert summary["task"] == task


def test_the_choice_is_made_on_validation(tables, task):
    frame = tables["arm_metrics"]
    wanted = (
        (frame["model"] == "network")
        & (frame["num_responses"] == 4)
        & (frame["noise"] == 1.0)
        & (frame["metric"] == "mse")
    )
    frame.loc[wanted & (frame["split"] == "validation"), ["estimate", "lower", "upper"]] = [100.0, 99.0, 101.0]
    frame.loc[wanted & (frame["split"] == "test"), ["estimate", "lower", "upper"]] = [9e5, 9e5, 9e5]
    summary = make_summary(task, tables)
    choice = summary["choice"]
    assert (choice["model"], choice["num_responses"], choice["noise"]) == ("network", 4, 1.0)
    assert choice["metrics"]["test"]["mse"]["estimate"] == 9e5
    assert "Train network students on the average of 4 noisy responses" in " ".join(summary["recommendation"])


def test_an_uncertain_arm_is_not_chosen_for_its_luck(tables, task):
    frame = tables["arm_metrics"]
    lucky = (frame["arm"] == 0) & (frame["metric"] == "mse")
    frame.loc[lucky, ["estimate", "lower", "upper"]] = [100.0, 0.0, 1e6]
    assert make_summary(task, tables)["choice"]["arm"] != 0


def test_budgets_and_advice_are_the_tables_rows(tables, task):
    summary = make_summary(task, tables)
    assert [row["unbounded"] for row in summary["response_budget"]] == [True, True, False, False]
    assert summary["response_budget"][2]["floor"]["estimate"] == FLOOR
    assert len(summary["advice"]) == len(tables["advice"])
    first = summary["recommendation"][0]
    assert first == next(
        row["sentence"]
        for row in summary["advice"]
        if (row["budget"], row["model"], row["noise"], row["deployment"]) == (300.0, "network", 1.0, "student")
    )
    assert "train one student on 16 [15, 17] responses per example" in first
    assert "80% of the replicates choose the same number" in first


def test_the_models_have_their_best_arm_and_their_control(tables, task):
    models = {row["model"]: row for row in make_summary(task, tables)["models"]}
    assert set(models) == {"linear", "network"}
    assert models["linear"]["best_arm"]["target"] == "exact"
    assert models["network"]["control"]["metrics"]["test"]["mse"]["estimate"] == TEACHER_MSE + FLOOR + 80.0


def test_verdicts_are_counted(tables, task):
    summary = make_summary(task, tables)
    assert sum(summary["verdicts"].values()) == len(summary["claims"]) == 39
    assert summary["verdicts"]["not measured"] == 1


def test_drivers_are_told_for_networks_with_fewest_and_most_responses(tables, task):
    told = [f["sentence"] for f in make_summary(task, tables)["findings"] if f["topic"] == "sources"]
    assert len(told) == 2
    assert "one noisy response (variance 0.1 Var(y))" in told[0]
    assert told[0].startswith("Initialisation causes most")
    assert "initialisation 66%" in told[0]  # 48 of 60 + 12.8


def test_distillation_is_set_beside_ground_truth(tables, task):
    found = [f for f in make_summary(task, tables)["findings"] if f["topic"] == "control"]
    assert [f["verdict"] for f in found] == ["lower", "lower"]
    frame = tables["arm_metrics"]
    truth = (frame["target"] == "ground_truth") & (frame["metric"] == "mse")
    frame.loc[truth, ["estimate", "lower", "upper"]] = [100.0, 99.0, 101.0]
    found = [f for f in make_summary(task, tables)["findings"] if f["topic"] == "control"]
    assert [f["verdict"] for f in found] == ["higher", "higher"]


def test_negative_components_and_extrapolation_are_caveats(tables, task):
    frame = tables["variance_components"]
    frame.loc[(frame["component"] == "order") & (frame["split"] == "test"), "estimate"] = -1.0
    budget = tables["response_budget"].astype({"recommended_num_responses": object})
    budget.loc[budget["noise"] == 1.0, ["recommended_num_responses", "recommended_num_responses_upper"]] = 40
    tables["response_budget"] = budget
    notes = " ".join(make_summary(task, tables)["caveats"])
    assert "came out below zero" in notes
    assert "beyond the measured k: linear students" in notes


def test_any_table_may_be_missing(tables, task):
    for name in tables:
        rest = {key: frame for key, frame in tables.items() if key != name}
        json.dumps(make_summary(task, rest), allow_nan=False)
    json.dumps(make_summary(task, {name: pd.DataFrame() for name in tables}), allow_nan=False)
    summary = make_summary(task, {})
    assert summary["choice"] is None
    assert summary["recommendation"] == []


def test_missing_figures_are_none(tables, task):
    frame = tables["arm_metrics"]
    frame.loc[frame["metric"] == "r2", ["lower", "upper"]] = math.nan
    figure = make_summary(task, tables)["choice"]["metrics"]["test"]["r2"]
    assert figure == {"estimate": 0.5, "lower": None, "upper": None}
