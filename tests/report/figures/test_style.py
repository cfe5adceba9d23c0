"""The common look: panels do not collide, themes differ in ink only, text is not markup."""

import json
from itertools import pairwise

import plotly.graph_objects as go
import pytest

from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.figures import FIGURES, make_figures
from kd_uncertainty.report.figures.style import (
    NEUTRAL_LINE,
    bare,
    bars_of,
    colour,
    names_axis,
    panels,
    portable,
    safe,
    template,
    translucent,
)


def contrast(first: str, second: str) -> float:
    """Contrast ratio of two colours, WCAG 2.1."""

    def luminance(value: str) -> float:
        parts = [int(value[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_text_is_legible_on_both_papers():
    assert contrast(template().layout.font.color, "#fdfdfc") > 7
    assert contrast(template(dark=True).layout.font.color, "#14181d") > 7


@pytest.mark.parametrize("narrow", [False, True])
def test_every_figure_is_described_and_survives_json(tables, narrow):
    figures = make_figures(tables, narrow=narrow)
    assert tuple(figures) == FIGURES
    for figure in figures.values():
        assert figure.layout.meta["title"] == figure.layout.title.text
        assert len(figure.layout.meta["description"]) > 40
        json.loads(figure.to_json())


@pytest.mark.parametrize("narrow", [False, True])
def test_panels_leave_room_for_titles_and_tick_labels(tables, narrow):
    for name, figure in make_figures(tables, narrow=narrow).items():
        height = figure.layout.meta["plot_height"]
        domains = sorted({axis.domain for axis in figure.select_yaxes()})
        for below, above in pairwise(domains):
            assert (above[0] - below[1]) * height >= 59.9, name


def test_bare_takes_title_and_legend_and_no_panel_height(tables):
    figure = make_figures(tables)["uncertainty_sources"]
    plot = figure.layout.height - figure.layout.margin.t - figure.layout.margin.b
    spec = bare(figure)
    layout = spec["layout"]
    assert layout["height"] - layout["margin"]["t"] - layout["margin"]["b"] == pytest.approx(plot)
    assert "title" not in layout
    assert layout["showlegend"] is False
    assert figure.layout.title.text
    assert figure.layout.showlegend is not False
    whole = json.loads(go.Figure(figure).to_json())  # the copy has no empty objects
    assert spec["data"] == whole["data"]
    changed = {"title", "showlegend", "height", "margin"}
    assert {k: v for k, v in layout.items() if k not in changed} == {
        k: v for k, v in whole["layout"].items() if k not in changed
    }


def test_a_figure_that_is_not_ours_stays_whole():
    figure = go.Figure(go.Scatter(y=[1]), layout={"title": "own", "height": 200})
    assert bare(figure) == json.loads(figure.to_json())


def test_error_bars_point_to_the_bounds():
    bars = bars_of([Estimate(1.0, 0.5, 3.0)])
    assert (bars["arrayminus"], bars["array"]) == ([0.5], [2.0])


def test_axis_titles_stand_in_the_middle_of_the_last_row():
    assert [names_axis(index, 3, 6) for index in range(6)] == [False] * 4 + [True, False]
    assert [names_axis(index, 2, 4) for index in range(4)] == [False, False, True, True]
    assert [names_axis(index, 1, 2) for index in range(2)] == [False, True]
    assert [names_axis(index, 3, 4) for index in range(4)] == [False, True, False, False]


def test_panels_that_are_not_needed_are_hidden():
    figure = panels(["a", "b", "c", "d"], columns=3, heights=100, gap=50)
    assert figure.layout.xaxis5.visible is False
    assert figure.layout.xaxis4.visible is None


def test_small_helpers():
    assert safe("<i>&") == "&lt;i&gt;&amp;"
    assert translucent("#ff8000", 0.5) == "rgba(255,128,0,0.5)"
    assert colour({"a": "#000000"}, "a") == "#000000"
    assert colour({}, "unknown", 1) != colour({}, "unknown", 2)


def test_a_portable_figure_keeps_its_data_and_styles_every_axis_itself(tables):
    figure = make_figures(tables)["response_curve"]
    copy = portable(figure)
    axes = [copy.layout[name] for name in copy.layout if name.startswith(("xaxis", "yaxis"))]
    assert len(axes) >= 6
    assert {axis.gridcolor for axis in axes} == {NEUTRAL_LINE}
    assert not copy.layout.title.text
    assert copy.layout.meta["title"] == figure.layout.meta["title"]
    assert figure.layout.title.text  # the original is as it was
    for ours, theirs in zip(copy.data, figure.data, strict=True):
        assert (ours.name, list(ours.x), list(ours.y)) == (theirs.name, list(theirs.x), list(theirs.y))
