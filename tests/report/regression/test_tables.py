"""Tables of the page and the way their numbers are written."""

from __future__ import annotations

import math

import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.regression import make_summary
from kd_uncertainty.report.regression.tables import (
    SECTION_COLUMNS,
    advice_table,
    budget_table,
    claims_table,
    floor_table,
    quality_table,
    report_tables,
    section_table,
)
from kd_uncertainty.report.wording import value_text, with_bounds


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(2893.127, 2801.3, 2990.8), "2,893 [2,801, 2,991]"),
        (Estimate(0.012345, 0.011, 0.0141), "0.0123 [0.0110, 0.0141]"),
        (Estimate(1.0, 1.0 - 1e-9, 1.0 + 1e-9), "1.0000 [1.0000, 1.0000]"),
        (Estimate(-1.0, -1.05, -0.95), "−1.00 [−1.05, −0.95]"),
        (Estimate(2893.127, math.nan, math.nan), "2,893"),
        (Estimate(0.0, 0.0, 0.0), "0.000 [0.000, 0.000]"),
        (Estimate(3.1e-12, math.nan, math.nan), "3.1e−12"),
        (Estimate(math.nan, math.nan, math.nan), "n/a"),
        (Estimate(5.0, 1.0, math.inf), "5.000 [1.000, ∞]"),
    ],
)
def test_digits_follow_the_interval(estimate, text):
    assert with_bounds(estimate) == text


def test_single_values():
    assert value_text(None) == "n/a"
    assert value_text(123456.7) == "123,457"
    assert value_text(-0.25) == "−0.2500"
    assert value_text(-2e-9) == "−2.0e−09"


@pytest.mark.parametrize("name", SECTION_COLUMNS)
def test_section_tables_have_a_row_for_each_of_theirs(tables, name):
    view = section_table(name, tables[name])
    assert len(view.rows) == len(tables[name])
    assert {len(row) for row in view.rows} == {len(view.header)}
    assert "nan" not in str(view.rows)


def test_cells_are_the_tables_figures(tables):
    view = section_table("teacher_output", tables["teacher_output"])
    last = view.rows[-2]  # linear at noise 1
    assert last[:3] == ("linear", "1", "1000")
    assert last[3] == "161.6 [151.9, 171.3]" or last[3] == "162 [152, 171]"
    assert last[4] == "160.0"
    assert view.num_names == 1
    assert section_table("student_output", tables["student_output"]).num_names == 5


def test_columns_that_a_table_lacks_are_left_out(tables):
    view = section_table("remedies", tables["remedies"].drop(columns=["predicted_ratio", "test_mse"]))
    assert "test MSE" not in view.header
    assert section_table("remedies", tables["remedies"].iloc[:0]).rows == ()


def test_claims_budget_floor_and_advice(tables, task):
    summary = make_summary(task, tables)
    view = claims_table(summary["claims"])
    assert len(view.rows) == 39
    assert any(row[1].endswith("(ours)") for row in view.rows)
    assert [row[4] for row in budget_table(tables).rows] == ["none suffices", "none suffices", "1 [1, 1]", "7 [7, 7]"]
    assert {row[3] for row in floor_table(summary["floor_checks"]).rows} == {"overlap"}
    assert len(advice_table(tables).rows) == len(tables["advice"])


def test_the_tables_at_the_end(tables):
    assert [view.caption.split(",")[0] for view in report_tables(tables, "test")] == [
        "Teachers",
        "Students by arm",
        "Variance components by arm",
        "The fit of Var(k) = a/k + b and the slope of the response component",
    ]
    assert report_tables({}, "test") == []
    assert quality_table(tables, "test").header[3:] == ("MSE", "MAE", "R²")
