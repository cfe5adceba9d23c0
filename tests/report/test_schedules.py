"""Arms whose loss switches in the report: names, figures, the sentence, the table; and nothing where none does."""

import math

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report import make_summary
from kd_uncertainty.report.arms import Arm, read_arms, schedule_text
from kd_uncertainty.report.budget import read_budgets
from kd_uncertainty.report.deviations.arms import read_arms as read_deviating_arms
from kd_uncertainty.report.figures import (
    make_figures,
    reliability_diagram,
    response_curve,
    student_quality,
    training_curves,
    uncertainty_sources,
)
from kd_uncertainty.report.findings import budget_finding, control_finding
from kd_uncertainty.report.page import render_report
from kd_uncertainty.report.schedules import read_recoveries, recovery_finding, recovery_table

LATE, EARLY = "to_teacher@0.5", "to_labels@0.25"
SHARES = {LATE: (0.93, 0.76, 1.15), EARLY: (-0.01, -0.23, 0.18)}
NAME = "exact, labels alone until 50%"


def switched(tables, schedule, shift):
    """The study, and its arms of exact targets again with another schedule."""
    grown = {}
    for name, frame in tables.items():
        if "schedule" not in frame:
            grown[name] = frame
            continue
        extra = frame[frame["target"].isin(("exact", "label")) & (frame["schedule"] == "constant")]
        extra = extra.assign(schedule=schedule)
        for column in ("arm", "student"):
            if column in extra:
                extra[column] += shift * (1 if column == "arm" else 10)
        grown[name] = pd.concat([frame, extra], ignore_index=True)
    curves, added = tables["student_curves"], grown["plan"].iloc[len(tables["plan"]) :]
    extra = curves.assign(student=curves["student"] + 10 * shift)
    grown["student_curves"] = pd.concat([curves, extra[extra["student"].isin(added["student"])]], ignore_index=True)
    return grown


def gains(shares=SHARES):
    rows = []
    for number, (schedule, share) in enumerate(shares.items()):
        keys = {"arm": 100 + number, "teacher": "ensemble", "target": "exact", "num_responses": 1}
        keys |= {"weighting": "average", "mixing": 1.0, "temperature": 1.0, "schedule": schedule}
        for split, off in (("validation", 0.5), ("test", 0.0)):
            figures = {"gain": (0.031, 0.02, 0.042), "constant_gain": (0.034, 0.025, 0.043), "recovered": share}
            row = {**keys, "split": split, "metric": "accuracy"}
            for name, values in figures.items():
                names = (name, f"{name}_lower", f"{name}_upper")
                row |= dict(zip(names, (value + off for value in values), strict=True))
            rows += [row, {**row, "metric": "nll", "recovered": 9.0}]
    return pd.DataFrame(rows)


@pytest.fixture
def switching(tables):
    return switched(switched(tables, LATE, 100), EARLY, 1000) | {"schedule_gains": gains()}


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("constant", ""),
        (LATE, "labels alone until 50%"),
        (EARLY, "labels alone from 25% on"),
        ("to_teacher@0.125", "labels alone until 12.5%"),
    ],
)
def test_schedules_in_words(schedule, words):
    assert schedule_text(schedule) == words
    arm = Arm(0, "swag", "exact", 1, schedule=schedule)
    tail = f", {words}" if words else ""
    assert arm.label() == f"exact{tail}"
    assert arm.named() == f"the exact mean probabilities of the swag teacher{tail}"


def test_arms_are_told_apart_by_their_schedule(switching):
    arms = read_arms(switching)
    assert len({(arm.teacher, *arm.cell) for arm in arms}) == len(arms)
    assert {arm.schedule for arm in arms} == {"constant", LATE, EARLY}
    assert all(arm.keys()["schedule"] == arm.schedule for arm in arms)
    budgets = read_budgets(switching)
    late = next(budget for budget in budgets if budget.schedule == LATE and budget.target == "label")
    assert late.name.endswith("label, labels alone until 50%")
    assert [arm.schedule for arm in arms if late.matches(arm)] == [LATE] * 6
    names = {arm.label for arm in read_deviating_arms({"deviations": deviations_of(switching)})}
    assert any("labels alone from 25% on" in name for name in names)


def deviations_of(tables):
    frame = tables["deviations"]
    frame = frame[frame["student"] == "self"].drop(columns="student").assign(target="exact", num_responses=1)
    return pd.concat([frame.assign(schedule=schedule) for schedule in ("constant", LATE, EARLY)])


def test_curves_and_rows_are_their_own_and_constant_ones_are_called_as_before(switching, tables):
    curves = response_curve(switching["variance_components"], switching["response_budget"])
    named = [trace for trace in curves.data if trace.name == "label: inter-student" and trace.xaxis == "x2"]
    assert len(named) == 3
    ticks = list(uncertainty_sources(switching["variance_components"]).layout.yaxis.ticktext)
    before = list(uncertainty_sources(tables["variance_components"]).layout.yaxis.ticktext)
    assert set(before) <= set(ticks)
    assert {NAME, "exact, labels alone from 25% on"} <= set(ticks)
    at = [ticks.index(name) for name in ("exact", NAME, "exact, labels alone from 25% on")]
    assert at == list(range(at[0], at[0] + 3))


def test_points_of_losses_that_switch_are_open_with_a_legend(switching, tables):
    plain = student_quality(tables["arm_metrics"], tables["teacher_metrics"])
    assert "the loss switches" not in {trace.name for trace in plain.data}
    assert all(
        trace.marker.symbol is None for trace in plain.data if trace.name == "exact mean" and trace.x[0] is not None
    )
    figure = student_quality(switching["arm_metrics"], switching["teacher_metrics"])
    assert "the loss switches" in {trace.name for trace in figure.data if trace.showlegend is not False}
    points = next(trace for trace in figure.data if trace.name == "exact mean" and trace.showlegend is False)
    looks = dict(zip([row[0] for row in points.customdata], points.marker.symbol, strict=True))
    assert looks == {"exact": "circle", NAME: "circle-open", "exact, labels alone from 25% on": "circle-open"}


def test_reliability_shows_the_constant_arm_unless_the_other_is_wanted(switching):
    frame = switching["reliability"]
    texts = [note.text for note in reliability_diagram(frame).layout.annotations]
    assert sum("students: exact<br>" in text.replace("</b>", "") for text in texts) == 3
    arm = {"teacher": "ensemble", "target": "exact", "num_responses": 1, "schedule": LATE}
    assert any(NAME in note.text for note in reliability_diagram(frame, "test", [arm]).layout.annotations)


def test_training_curves_that_jump_are_their_own(switching, tables):
    figure = training_curves(pd.DataFrame(), switching["student_curves"], switching["plan"])
    before = training_curves(pd.DataFrame(), tables["student_curves"], tables["plan"])
    lines = {trace.name: trace for trace in figure.data if trace.showlegend}
    assert "students: exact, switching" in lines
    for trace in before.data:
        if trace.showlegend:
            np.testing.assert_array_equal(trace.y, lines[trace.name].y)


def test_the_table_holds_the_splits_gains(switching):
    view = recovery_table(switching, "test")
    assert view.rows[0] == ("ensemble", NAME, "3.1 [2.0, 4.2]", "3.4 [2.5, 4.3]", "93% [76, 115]")
    assert view.rows[1][-1] == "−1% [−23, 18]"
    assert {len(row) for row in view.rows} == {len(view.header)}
    assert read_recoveries(switching, "validation")[0].recovered.estimate == pytest.approx(1.43)


def test_the_sentence_names_what_is_recovered(switching, task):
    finding = recovery_finding(switching, "test")
    assert finding.sentence == (
        "Losses that switch recover −1% to 93% of the gain in accuracy over the labels, on the test split: "
        f"93% [76, 115] with {NAME} (ensemble) and −1% [−23, 18] with exact, labels alone from 25% on (ensemble)."
    )
    assert finding.sentence.startswith(finding.title)
    assert [arm["recovered"]["estimate"] for arm in finding.figures["arms"]] == [0.93, -0.01]
    topics = [one["topic"] for one in make_summary(task, switching)["findings"]]
    assert topics.count("schedules") == 1


def test_many_arms_are_counted():
    shares = {f"to_teacher@0.{digit}": (digit / 10, 0.0, 1.0) for digit in range(1, 8)}
    assert "; 3 more arms in the table." in recovery_finding({"schedule_gains": gains(shares)}, "test").sentence


def test_no_gain_is_said():
    blank = gains({LATE: (math.nan,) * 3})
    finding = recovery_finding({"schedule_gains": blank}, "test")
    assert finding.title == "What losses that switch recover cannot be told"
    assert recovery_table({"schedule_gains": blank}, "test").rows[0][-1] == "n/a"


@pytest.mark.parametrize("nothing", [{}, {"schedule_gains": gains().iloc[:0]}])
def test_without_switches_nothing_is_said(nothing, tables, task, provenance):
    assert recovery_finding(nothing, "test") is None
    assert recovery_table(nothing, "test").rows == ()
    summary = make_summary(task, tables | nothing)
    html = render_report(summary, make_figures(tables | nothing), tables | nothing, provenance)
    assert "Losses that switch" not in html


def test_the_page_has_table_sentence_and_the_way_to_the_control(switching, task, provenance):
    summary = make_summary(task, switching)
    html = render_report(summary, make_figures(switching), switching, provenance)
    assert "<h3>Losses that switch</h3>" in html
    assert "93% [76, 115]" in html
    assert "stopped at equal progress" in html
    assert "kedro run --pipelines deviations" in html.partition("<h3>Losses that switch</h3>")[2][:1200]


def test_other_findings_name_the_schedule(switching):
    late, control = Arm(1, "swag", "exact", 1, schedule=LATE), Arm(0, "none", "one_hot", 1)
    assert f"({NAME}, swag)" in control_finding(late, control, "validation").sentence
    budgets = [budget for budget in read_budgets(switching) if budget.target == "label"]
    sentences = {budget.schedule: budget_finding(budget).sentence for budget in budgets if budget.teacher == "ensemble"}
    assert "from the ensemble teacher per example" in sentences["constant"]
    assert "from the ensemble teacher, labels alone until 50%, per example" in sentences[LATE]
