"""Reliability diagrams: bins as in the table, ECE by hand."""

import math

import pandas as pd
import pytest

from kd_uncertainty.report.figures import expected_calibration_error, make_figures, reliability_diagram

from ..study import rows_of


def test_expected_calibration_error_by_hand():
    bins = pd.DataFrame({"confidence": [math.nan, 0.6, 0.9], "accuracy": [math.nan, 0.5, 0.95], "count": [0, 100, 300]})
    assert expected_calibration_error(bins) == pytest.approx(0.25 * 0.1 + 0.75 * 0.05)
    assert math.isnan(expected_calibration_error(bins.iloc[:1]))


def curves(figure) -> list:
    return [trace for trace in figure.data if trace.name == "accuracy by confidence"]


def test_points_and_counts_are_the_bins(tables):
    frame = tables["reliability"]
    figure = reliability_diagram(frame)
    own = frame[rows_of(frame, role="teacher", teacher="ensemble", split="test")]
    full = own[own["count"] > 0]
    assert list(curves(figure)[1].x) == list(full["confidence"])
    assert list(curves(figure)[1].y) == list(full["accuracy"])
    assert list(curves(figure)[1].customdata) == list(full["count"])
    bars = [trace for trace in figure.data if trace.type == "bar"]
    assert list(bars[1].y) == pytest.approx(list(own["count"] / own["count"].sum()))
    assert sum(bars[1].y) == pytest.approx(1.0)


def test_titles_carry_ece_and_count(tables):
    frame = tables["reliability"]
    own = frame[rows_of(frame, role="teacher", teacher="ensemble")]
    texts = [note.text for note in reliability_diagram(frame).layout.annotations]
    assert texts[1] == f"<b>ensemble</b><br>ECE {expected_calibration_error(own):.3f}, n = 360"


def test_students_of_the_wanted_arm_are_shown(tables):
    frame = tables["reliability"]
    arm = {"teacher": "ensemble", "target": "label", "num_responses": 4}
    figure = reliability_diagram(frame, "test", [arm])
    own = frame[rows_of(frame, role="students", **arm)]
    assert list(curves(figure)[4].y) == list(own[own["count"] > 0]["accuracy"])
    titles = [note.text.split("<br>")[0] for note in figure.layout.annotations]
    assert titles[3:] == ["<b>students: exact</b>", "<b>students: label, k = 4</b>", "<b>students: exact</b>"]


def test_the_report_shows_each_teachers_best_arm_by_validation(tables):
    frame = tables["arm_metrics"]
    best = rows_of(frame, teacher="dropout", target="posterior", num_responses=2, metric="nll", split="validation")
    frame.loc[best, ["estimate", "lower", "upper"]] = 0.0
    texts = [note.text for note in make_figures(tables)["reliability_diagram"].layout.annotations]
    assert any("students: posterior, k = 2" in text for text in texts)


@pytest.mark.parametrize("narrow", [False, True])
def test_teachers_without_students_and_students_without_teachers(tables, narrow):
    frame = tables["reliability"]
    teachers = reliability_diagram(frame[frame["role"] == "teacher"], narrow=narrow)
    assert len(curves(teachers)) == 3
    students = reliability_diagram(frame[frame["role"] == "students"], narrow=narrow)
    assert len(curves(students)) == 3
    some = frame[(frame["role"] == "teacher") | (frame["teacher"] == "dropout")]
    assert len(curves(reliability_diagram(some, narrow=narrow))) == 4


@pytest.mark.parametrize("narrow", [False, True])
def test_six_teachers_wrap(tables, narrow):
    frame = tables["reliability"].query("teacher != 'none'")
    more = [frame.assign(teacher=frame["teacher"] + suffix) for suffix in ("", "_b")]
    figure = reliability_diagram(pd.concat(more), narrow=narrow)
    assert len(curves(figure)) == 12


def test_no_table_is_said(tables):
    assert "No reliability table" in reliability_diagram(tables["reliability"], "train").layout.annotations[-1].text
    assert "No reliability table" in reliability_diagram(pd.DataFrame()).layout.annotations[-1].text
