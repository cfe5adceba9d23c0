"""Differences of estimates against closed forms and Monte Carlo; verdicts against signs."""

import json
import math

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.comparison import Estimate, as_estimate, difference, estimate_of, verdict


def test_equal_normal_intervals_give_the_textbook_interval():
    """With half-widths z s1 and z s2 the half-width of the difference is z sqrt(s1^2 + s2^2)."""
    change = difference(Estimate(2.0, 2.0 - 0.3, 2.0 + 0.3), Estimate(1.5, 1.5 - 0.4, 1.5 + 0.4))
    assert change == pytest.approx((0.5, 0.0, 1.0))


def test_skewed_intervals_cross_over():
    """The lower end uses the first's lower and the second's upper side; the upper end the others."""
    change = difference(Estimate(1.0, 0.7, 1.0), Estimate(0.0, -0.5, 0.4))
    assert change.lower == pytest.approx(1.0 - 0.5)
    assert change.upper == pytest.approx(1.0 + 0.5)


def test_coverage_of_the_difference_is_nominal_for_independent_normals():
    rng = np.random.default_rng(0)
    first, second = rng.normal(0.3, 0.05, 4000), rng.normal(0.2, 0.02, 4000)
    covered = 0
    for x, y in zip(first, second, strict=True):
        change = difference(
            Estimate(x, x - 1.96 * 0.05, x + 1.96 * 0.05), Estimate(y, y - 1.96 * 0.02, y + 1.96 * 0.02)
        )
        covered += change.lower <= 0.1 <= change.upper
    standard_error = math.sqrt(0.95 * 0.05 / 4000)
    assert covered / 4000 == pytest.approx(0.95, abs=4 * standard_error)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (Estimate(0.2, 0.1, 0.3), "higher"),
        (Estimate(-0.2, -0.3, -0.1), "lower"),
        (Estimate(0.2, -0.1, 0.5), "no measurable difference"),
        (Estimate(0.1, 0.0, 0.2), "no measurable difference"),
        (Estimate(0.2, math.nan, math.nan), "no measurable difference"),
    ],
)
def test_verdict_is_the_sign_of_the_interval(change, word):
    assert verdict(change) == word


def test_rows_are_read_with_and_without_a_name():
    assert estimate_of({"estimate": 1, "lower": 0, "upper": 2}) == (1.0, 0.0, 2.0)
    assert estimate_of({"floor": 1, "floor_lower": 0, "floor_upper": 2}, "floor") == (1.0, 0.0, 2.0)


@pytest.mark.parametrize("missing", [None, pd.NA, float("nan")])
def test_what_is_missing_is_not_a_number(missing):
    estimate = estimate_of({"estimate": missing, "lower": 0.0, "upper": 1.0})
    assert math.isnan(estimate.estimate)
    assert not estimate.known
    assert not estimate.measured


def test_json_round_trip_keeps_figures_and_writes_null_for_the_rest():
    figure = Estimate(0.25, float("nan"), float("inf")).as_json()
    assert json.loads(json.dumps(figure, allow_nan=False)) == {"estimate": 0.25, "lower": None, "upper": None}
    assert as_estimate(figure).estimate == 0.25
    assert math.isnan(as_estimate(figure).lower)
