"""Figures in words: digits, signs, intervals and orders."""

import math

import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.wording import (
    count_with_interval,
    decimals,
    listing,
    metric_with_interval,
    number,
    percent,
    plural,
    target_order,
    teacher_order,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1234, "0.123"), (-0.5, "−0.500"), (-0.0001, "0.000"), (None, "n/a"), (math.nan, "n/a"), (math.inf, "∞")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_percent_and_accuracy():
    assert percent(0.9541) == "95.4%"
    assert percent(None) == "n/a"
    assert metric_with_interval("accuracy", Estimate(0.954, 0.949, 0.958)) == "95.4% [94.9, 95.8]"
    assert metric_with_interval("nll", Estimate(0.954, 0.949, 0.958)) == "0.9540 [0.9490, 0.9580]"


@pytest.mark.parametrize(("half", "places"), [(0.2, 3), (0.05, 3), (0.004, 4), (0.0004, 5), (1e-7, 6)])
def test_decimals_show_two_digits_of_the_width(half, places):
    assert decimals(Estimate(0.5, 0.5 - half, 0.5 + half)) == places


def test_intervals_that_were_not_measured_are_left_out():
    assert with_interval(Estimate(0.5, math.nan, math.nan)) == "0.500"
    assert with_interval(Estimate(math.nan, math.nan, math.nan)) == "n/a"


def test_counts_and_open_ends():
    assert count_with_interval(Estimate(12, 8, 19)) == "12 [8, 19]"
    assert count_with_interval(Estimate(12, 8, math.inf)) == "12 [8, ∞]"


def test_grammar():
    assert plural(1, "arm") == "1 arm"
    assert plural(1200, "arm") == "1,200 arms"
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"


def test_orders_are_the_same_everywhere_and_keep_unknown_names():
    assert target_order({"mine", "one_hot", "exact", "label"}) == ["label", "exact", "one_hot", "mine"]
    assert teacher_order(["ensemble", "none", "deterministic", "ensemble"]) == ["deterministic", "ensemble"]
