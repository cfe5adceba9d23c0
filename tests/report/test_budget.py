"""Budgets: verdicts on the 1/k law, unbounded and extrapolated numbers, reasons for having none."""

import math

import pandas as pd
import pytest

from kd_uncertainty.report.arms import Arm, read_arms
from kd_uncertainty.report.budget import read_budgets, why_no_budget

from .study import FLOOR, budget_row


def one(**changes):
    row = budget_row("ensemble", "label", 0.02, **changes)
    return read_budgets({"response_budget": pd.DataFrame([row])})[0]


@pytest.mark.parametrize(
    ("slope", "words"),
    [
        ((-1.02, -1.09, -0.94), "agrees with 1/k"),
        ((-0.70, -0.78, -0.61), "falls more slowly than 1/k"),
        ((-0.90, -0.95, -0.85), "falls nearly as 1/k, but measurably more slowly"),
        ((-1.15, -1.25, -1.05), "falls nearly as 1/k, but measurably faster"),
        ((-1.30, -1.41, -1.12), "falls faster than 1/k"),
        ((-0.90, -2.10, 0.30), "compatible with 1/k, but the interval is too wide to say much"),
        ((-1.0, math.nan, math.nan), "not measurable: the slope has no interval"),
    ],
)
def test_the_verdict_on_theory_is_the_interval_against_minus_one(slope, words):
    estimate, lower, upper = slope
    assert one(slope=estimate, slope_lower=lower, slope_upper=upper).theory() == words


def test_fitted_variance():
    assert one().variance_at(8) == pytest.approx(0.02 / 8 + FLOOR)


@pytest.mark.parametrize("nothing", [pd.NA, math.nan, math.inf, 2.0**61])
def test_no_number_is_unbounded(nothing):
    budget = one(recommended_num_responses=nothing, recommended_num_responses_upper=nothing)
    assert budget.unbounded
    assert budget.open_above
    assert budget.extrapolated
    assert budget.recommended_text() == "none suffices"
    assert budget.as_json()["recommended_num_responses"]["estimate"] is None


def test_nullable_integers_as_parquet_gives_them():
    frame = pd.DataFrame([budget_row("ensemble", "label", 0.02)])
    for end, value in (("", 20), ("_lower", 15), ("_upper", pd.NA)):
        frame[f"recommended_num_responses{end}"] = pd.array([value], dtype="Int64")
    budget = read_budgets({"response_budget": frame})[0]
    assert budget.recommended == (20, 15, math.inf)
    assert not budget.unbounded
    assert budget.recommended_text() == "20 [15, ∞]"


def test_extrapolation_follows_from_the_numbers():
    assert one(recommended_num_responses=33, extrapolated=False).extrapolated
    assert not one(recommended_num_responses=32, extrapolated=False).extrapolated


def test_a_budget_matches_its_own_arms_only():
    budget = one()
    assert budget.matches(Arm(0, "ensemble", "label", 4))
    assert not budget.matches(Arm(0, "ensemble", "posterior", 4))
    assert not budget.matches(Arm(0, "ensemble", "label", 4, mixing=0.5))


def test_reasons_for_no_budget(tables):
    arms = read_arms(tables)
    assert "1 response seed," in why_no_budget(arms, 1)
    assert "no arm was trained on sampled responses" in why_no_budget([a for a in arms if a.target == "exact"], 8)
    assert "only k = 4 was measured" in why_no_budget([a for a in arms if a.num_responses == 4], 8)
    assert "no fit" in why_no_budget(arms, 8)
