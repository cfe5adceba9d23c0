"""Series on panels: points and ribbons show estimates and bounds, and leave out what an axis cannot show."""

from __future__ import annotations

import math

import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures.series import Series, draw, ribbon
from kd_uncertainty.report.figures.style import panels


@pytest.fixture
def figure():
    return panels(["panel"], columns=1, heights=100, gap=0)


VALUES = [Estimate(1.0, 0.5, 2.0), Estimate(4.0, -1.0, 5.0), Estimate(math.nan, math.nan, math.nan)]


def test_a_ribbon_is_a_line_over_its_intervals(figure):
    assert ribbon(figure, (1, 1), Series("a <b>", "#0072B2", [1, 2, 3], VALUES), first=True) == 0
    band, line = figure.data
    assert list(line.x) == [1, 2]
    assert list(line.y) == [1.0, 4.0]
    assert list(band.x) == [1, 2, 2, 1]
    assert list(band.y) == [2.0, 5.0, -1.0, 0.5]
    assert (line.name, line.showlegend, band.showlegend) == ("a &lt;b&gt;", True, False)


def test_on_a_logarithmic_axis_bounds_are_cut_and_zeros_left_out(figure):
    series = Series("a", "#0072B2", [1, 2, 3, 4], [*VALUES, Estimate(0.0, 0.0, 0.0)])
    assert ribbon(figure, (1, 1), series, first=False, floor=0.0) == 1
    band, line = figure.data
    assert list(line.x) == [1, 2]
    assert min(band.y) == 0.5
    assert band.y[2] == 1.0  # a quarter of the estimate, where the interval goes below zero


def test_estimates_without_bounds_have_no_band(figure):
    bare = [Estimate(value, math.nan, math.nan) for value in (1.0, 2.0)]
    ribbon(figure, (1, 1), Series("a", "#0072B2", [1, 2], bare), first=True)
    (line,) = figure.data
    assert line.mode == "lines"


def test_points_carry_their_intervals(figure):
    assert draw(figure, (1, 1), Series("a", "#0072B2", [1, 2, 3], VALUES), first=True, floor=2.0) == 1
    (points,) = figure.data
    assert list(points.y) == [4.0]
    assert list(points.error_y.array) == [1.0]
    assert list(points.error_y.arrayminus) == [5.0]
