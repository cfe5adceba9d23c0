"""A small study with losses that switch, from the table to the report."""

from __future__ import annotations

import pytest

from kd_uncertainty import schemas
from kd_uncertainty.errors import UserError

from .project import Project

SCHEDULES = ["constant", "to_teacher@0.5", "to_labels@.50"]
ARMS = [
    {"target": "label", "teachers": ["ensemble"], "num_responses": [1, 2], "schedule": ["constant", "to_teacher@0.5"]},
    {"target": "exact", "teachers": ["ensemble"], "temperature": 2.0, "schedule": SCHEDULES},
    {"target": "one_hot"},
]
PARAMS = {"classification": {"students": {"arms": ARMS}}}
NAMES = ("classification.propagation", "classification.deviations", "classification.reporting")


@pytest.fixture(scope="module")
def switched(tmp_path_factory):
    project = Project(tmp_path_factory.mktemp("switched"))
    chain = ("ingestion", "teachers", "responses", "students")
    project.run(params=PARAMS, namespaces=[*(f"classification.{stage}" for stage in chain), *NAMES])
    return project


def table(project, name):
    return project.load(f"classification.{name}", params=PARAMS)


def test_the_plan_and_every_later_table_name_the_schedule(switched):
    plan = table(switched, "plan")
    schemas.plan(plan)
    arms = plan.drop_duplicates("arm")
    assert arms["schedule"].tolist() == [
        "constant", "to_teacher@0.5", "constant", "to_teacher@0.5", "constant", "to_teacher@0.5", "to_labels@0.5",
        "constant",
    ]  # fmt: skip
    for name in ("student_metrics", "arm_metrics", "variance_components"):
        found = table(switched, name).drop_duplicates("arm")
        assert found.set_index("arm")["schedule"].to_dict() == arms.set_index("arm")["schedule"].to_dict(), name
    for name in ("reliability", "deviations", "deviation_bins"):
        assert {"constant", "to_teacher@0.5", "to_labels@0.5"} <= set(table(switched, name)["schedule"]), name
    budget = table(switched, "response_budget")
    assert budget["schedule"].tolist() == ["constant", "to_teacher@0.5"]


def test_students_that_switch_are_others(switched):
    metrics = table(switched, "student_metrics")
    exact = metrics[(metrics["target"] == "exact") & (metrics["split"] == "train")]
    nll = [group["nll"].to_numpy() for _, group in exact.groupby("schedule", sort=False)]
    assert all((abs(nll[i] - nll[j]) > 1e-6).all() for i, j in ((0, 1), (0, 2), (1, 2)))


def test_gains_are_there_for_every_arm_that_switches(switched):
    gains, plan = table(switched, "schedule_gains"), table(switched, "plan")
    schemas.schedule_gains(gains)
    assert set(gains["arm"]) == set(plan.loc[plan["schedule"] != "constant", "arm"])
    assert set(gains["split"]) == {"train", "validation", "test"}
    assert gains[["gain", "constant_gain"]].notna().all(axis=None)
    assert (gains["recovered"].notna() == gains["recoverable"]).all()


def test_the_report_speaks_of_them(switched):
    summary, page = table(switched, "summary"), table(switched, "report")
    assert [finding["topic"] for finding in summary["findings"]].count("schedules") == 1
    assert "<h3>Losses that switch</h3>" in page
    assert "exact, temperature 2, labels alone until 50%" in page
    assert "label, k = 2, labels alone until 50%" in page


def test_a_switch_that_training_is_too_short_for_is_said(switched):
    arms = [{"target": "exact", "schedule": "to_teacher@0.001"}]
    with pytest.raises(UserError, match=r"schedule to_teacher@0\.001 never switches in \d+ optimiser steps"):
        switched.run(params={"classification": {"students": {"arms": arms}}}, namespaces=["classification.students"])
