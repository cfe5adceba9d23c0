"""Verdicts follow from the tables: each is turned by turning the figures."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from kd_uncertainty.report.regression.arms import read_arms
from kd_uncertainty.report.regression.budgets import read_budgets
from kd_uncertainty.report.regression.claims import floor_checks, make_claims

from .study import FLOOR, LAW, scale


def claim(tables, key: str, section: str = ""):
    found = [one for one in make_claims(tables) if one.key == key and one.section.startswith(section)]
    assert len(found) == 1, (key, [one.key for one in found])
    return found[0]


EXPECTED = {
    ("4", "linear_closed_form"): "holds",
    ("4", "linear_growth"): "holds",
    ("4", "network_growth"): "holds",
    ("4", "linear_mse"): "holds",
    ("4", "network_mse"): "does not hold",  # 1.3 times the teacher's
    ("5", "teacher_dispersion"): "holds",
    ("5", "ground_truth_dispersion"): "holds",
    ("5", "perturbed_over_independent"): "holds",
    ("5", "linear_teacher_size"): "not measured",  # zero at every size
    ("5", "linear_ground_truth_size"): "holds",
    ("5", "linear_labels"): "holds",
    ("5", "network_teacher_size"): "holds",
    ("5", "network_ground_truth_size"): "holds",
    ("5", "network_labels"): "holds",
    ("6", "argmax"): "holds",
    ("6", "soft"): "holds",
    ("6", "label"): "does not hold",
    ("6", "argmax_over_soft"): "holds",
    ("7", "linear_slope"): "holds",
    ("7", "linear_closed_form"): "holds",
    ("7", "network_slope"): "holds",
    ("7", "linear_mse"): "holds in part",
    ("7", "network_mse"): "holds in part",
    ("7", "oracle_prediction"): "holds",
    ("7", "linear_inverse_variance_oracle_same_k"): "holds",
    ("7", "linear_inverse_variance_estimated_same_k"): "holds",
    ("7", "linear_inverse_variance_estimated_equal_budget"): "does not hold",
    ("7", "linear_blue_same_k"): "does not hold",
    ("7", "linear_pilot_same_k"): "holds",
    ("7", "linear_blue_over_pilot"): "does not hold",
    ("7", "network_inverse_variance_oracle_same_k"): "holds",
    ("7", "network_inverse_variance_estimated_same_k"): "holds",
    ("7", "network_inverse_variance_estimated_equal_budget"): "does not hold",
    ("7", "network_blue_same_k"): "does not hold",
    ("7", "network_pilot_same_k"): "holds",
    ("7", "network_blue_over_pilot"): "does not hold",
    ("floor", "positive"): "holds",
    ("floor", "equals_components"): "holds",
    ("floor", "equals_exact"): "holds",
}


def test_every_verdict_is_the_one_that_the_tables_were_made_for(tables):
    assert {(one.section.split()[0], one.key): one.verdict for one in make_claims(tables)} == EXPECTED


def test_without_tables_nothing_is_measured_and_every_claim_is_listed():
    found = make_claims({})
    assert {(one.section.split()[0], one.key) for one in found} == set(EXPECTED)
    for one in found:
        assert one.verdict == "not measured"
        assert one.as_json()["sentence"].endswith("not measured.")


def test_tables_of_nan_are_not_measured(tables):
    for name in ("teacher_output", "initialisation", "bootstrap", "student_output", "remedies"):
        figures = [column for column in tables[name] if column.endswith(("_lower", "_upper"))]
        figures += [column.removesuffix("_lower") for column in figures if column.endswith("_lower")]
        tables[name][figures] = math.nan
    sections = [one for one in make_claims(tables) if one.section != "floor"]
    assert {one.verdict for one in sections} == {"not measured"}


def test_claims_on_the_closed_form_see_a_wrong_variance(tables):
    frame = tables["teacher_output"]
    scale(frame, "inter_variance", 1.5, frame["model"] == "linear")
    found = claim(tables, "linear_closed_form", "4")
    assert found.verdict == "does not hold"
    assert found.figure.estimate == pytest.approx(1.515)
    assert "0 of 3 intervals" in found.sentence


def test_the_figure_is_the_tables_ratio(tables):
    found = claim(tables, "linear_closed_form", "4")
    assert found.figure == pytest.approx((1.01, 1.01 * 0.94, 1.01 * 1.06))
    assert "3 of 3 intervals" in found.sentence
    assert claim(tables, "linear_growth").figure.estimate == pytest.approx(10.0)  # from noise 0.1 to 1
    growth = claim(tables, "network_growth")
    assert growth.figure.estimate == pytest.approx((FLOOR + 0.8 * LAW) / FLOOR)
    assert "not zero without noise" in growth.sentence


def test_a_variance_that_falls_with_the_dispersion_is_seen(tables):
    frame = tables["initialisation"]
    own = (frame["targets"] == "teacher") & (frame["sigma"] > 0)
    columns = ["inter_variance", "inter_variance_lower", "inter_variance_upper"]
    frame.loc[own, columns] = frame.loc[own, columns].to_numpy()[::-1]
    assert claim(tables, "teacher_dispersion").verdict == "does not hold"
    assert claim(tables, "ground_truth_dispersion").verdict == "holds"
    scale(frame, "inter_variance", 20.0, frame["initialisation"] == "perturbed")
    assert claim(tables, "perturbed_over_independent").verdict == "does not hold"


def test_zero_variance_of_linear_students_on_linear_labels_is_said(tables):
    found = claim(tables, "linear_teacher_size")
    assert found.measured == "0"
    assert "zero at every size" in found.as_json()["sentence"]


def test_teacher_labels_that_leave_more_variance(tables):
    frame = tables["bootstrap"]
    scale(frame, "inter_variance", 10.0, (frame["targets"] == "teacher") & (frame["fraction"] < 0.3))
    found = claim(tables, "network_labels")
    assert found.verdict == "does not hold"  # as many above as below
    assert (found.figures["below"], found.figures["above"]) == (2, 2)


def test_argmax_students_that_keep_their_entropy(tables):
    frame = tables["student_output"]
    scale(frame, "entropy_ratio", 10 / 3, (frame["target"] == "argmax") & (frame["source"] == "wine"))
    assert claim(tables, "argmax").verdict == "holds in part"
    scale(frame, "entropy_ratio", 10 / 3, (frame["target"] == "argmax") & (frame["source"] == "digits"))
    assert claim(tables, "argmax").verdict == "does not hold"


def test_argmax_beside_soft_labels_is_the_ratio_of_their_entropies(tables):
    found = claim(tables, "argmax_over_soft")
    assert found.figure.estimate == pytest.approx(0.3 / 0.98)
    frame = tables["student_output"]
    scale(frame, "entropy", 4.0, (frame["target"] == "argmax") & (frame["model"] == "logistic"))
    assert claim(tables, "argmax_over_soft").verdict == "does not hold"  # below in two cells, above in two


def test_soft_students_that_lose_their_entropy(tables):
    frame = tables["student_output"]
    scale(frame, "entropy_ratio", 0.5, (frame["target"] == "soft") & (frame["model"] == "logistic"))
    found = claim(tables, "soft")
    assert found.verdict == "holds in part"
    assert "logistic students: median 0.490 (0.490 to 0.490); below 1 in 2" in found.sentence


def test_slopes_are_those_of_the_tables(tables):
    frame = tables["remedies"]
    scale(
        frame,
        "inter_variance",
        frame.loc[frame["model"] == "linear", ["num_responses"]] ** 0.3,
        frame["model"] == "linear",
    )
    found = claim(tables, "linear_slope")
    assert found.figure.estimate == pytest.approx(-0.7)
    assert found.verdict == "does not hold"


def test_the_oracle_is_not_judged_where_it_is_the_average(tables):
    assert claim(tables, "network_inverse_variance_oracle_same_k").figures["count"] == 12  # of 15, without k = 1
    assert claim(tables, "oracle_prediction").figures["count"] == 12


def test_blue_is_set_beside_its_pilot(tables):
    found = claim(tables, "network_blue_over_pilot")
    assert found.figure.estimate == pytest.approx(1.25)
    assert found.figures["count"] == 15
    frame = tables["remedies"]
    tables["remedies"] = frame[frame["method"] != "pilot"]
    assert claim(tables, "network_blue_over_pilot").verdict == "not measured"


def test_a_method_that_is_the_average_is_called_the_same(tables):
    frame = tables["remedies"]
    columns = ["variance_ratio", "variance_ratio_lower", "variance_ratio_upper"]
    frame.loc[(frame["method"] == "pilot") & (frame["model"] == "linear"), columns] = 1.0
    found = claim(tables, "linear_pilot_same_k")
    assert (found.verdict, found.measured) == ("does not hold", "× 1")
    assert "same to rounding" in found.sentence


def test_weighting_that_costs_more_than_it_gains(tables):
    found = claim(tables, "linear_inverse_variance_estimated_equal_budget")
    assert found.figure.estimate == pytest.approx(1.8)
    assert "above in 15" in found.sentence


def test_the_floor_is_checked_against_components_and_exact_arm(tables):
    checks = floor_checks(read_arms(tables), read_budgets(tables))
    assert [check.budget.model for check in checks] == ["network", "network"]
    for check in checks:
        assert check.components.estimate == pytest.approx(58.0)
        assert check.exact.estimate == pytest.approx(FLOOR)
        assert check.components.lower == pytest.approx(58.0 - math.hypot(4.8, 1.0))


def test_a_floor_that_is_something_else_is_seen(tables):
    frame = tables["variance_components"]
    own = (frame["component"] == "initialisation") & (frame["split"] == "validation")
    frame.loc[own, ["estimate", "lower", "upper"]] *= 3.0
    assert claim(tables, "equals_components").verdict == "does not hold"
    assert claim(tables, "equals_exact").verdict == "holds"
    budget = tables["response_budget"]
    budget.loc[budget["model"] == "network", "floor_lower"] = 0.0
    assert claim(tables, "positive").verdict == "does not hold"


def test_a_floor_without_an_exact_arm(tables):
    for name in ("variance_components", "arm_metrics"):
        tables[name] = pd.DataFrame(tables[name][tables[name]["target"] != "exact"])
    assert claim(tables, "equals_exact").verdict == "not measured"
    assert claim(tables, "equals_components").verdict == "holds"
