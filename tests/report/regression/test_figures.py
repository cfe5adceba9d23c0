"""Figures show the tables' figures: points, intervals, laws and references; and say so where there is nothing."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.legend import legend_keys
from kd_uncertainty.report.regression.figures import CHAIN_FIGURES, FIGURES, SECTION_FIGURES, make_figures

from .study import COUNTS, FLOOR, LAW, TEACHER_MSE, make_tables


def named(figure, name: str, axis: str | None = None) -> list:
    return [trace for trace in figure.data if trace.name == name and axis in (None, trace.xaxis)]


@pytest.fixture(scope="module", params=[False, True])
def both(request):
    """The figures for wide and for narrow screens."""
    return make_figures(make_tables(), narrow=request.param)


@pytest.fixture(scope="module")
def figures():
    return make_figures(make_tables())


def test_every_figure_is_described_and_survives_json(both):
    figures = both
    assert tuple(figures) == FIGURES == (*CHAIN_FIGURES, *SECTION_FIGURES)
    for name, figure in figures.items():
        assert figure.layout.meta["title"] == figure.layout.title.text
        assert len(figure.layout.meta["description"]) > 40
        json.loads(figure.to_json())
        keys = [key.name for key in legend_keys(figure)]
        assert keys, name
        assert len(keys) == len(set(keys)), name


def test_panels_leave_room_for_titles_and_tick_labels(both):
    for name, figure in both.items():
        height = figure.layout.meta["plot_height"]
        domains = sorted({axis.domain for axis in figure.select_yaxes()})
        for below, above in pairwise(domains):
            assert (above[0] - below[1]) * height >= 59.9, name


def test_missing_tables_give_figures_that_say_so():
    for figure in make_figures({}).values():
        assert not figure.data
        assert len(figure.layout.annotations[-1].text) > 15


def test_tables_of_nan_draw_no_points(tables):
    for frame in tables.values():
        floats = frame.select_dtypes("float").columns.difference(["noise", "mixing", "sigma", "fraction", "budget"])
        frame[floats] = math.nan
    figures = make_figures({**tables, "advice": pd.DataFrame(), "response_budget": pd.DataFrame()})
    for name in (*SECTION_FIGURES, "uncertainty_sources", "student_quality"):
        heights = [y for trace in figures[name].data for y in (trace.y if trace.y is not None else []) if y is not None]
        assert all(math.isnan(y) or y == 1.0 for y in heights), name  # the line of no gain is no figure


def test_section_4_has_its_points_and_its_law(tables, figures):
    frame = tables["teacher_output"]
    figure = figures["teacher_output"]
    for model, axis in (("linear", "x"), ("network", "x2")):
        [points] = named(figure, f"{model} students", axis)
        own = frame[frame["model"] == model]
        np.testing.assert_allclose(points.y, own["inter_variance"])
        np.testing.assert_allclose(points.error_y.array, own["inter_variance_upper"] - own["inter_variance"])
        np.testing.assert_allclose(points.error_y.arrayminus, own["inter_variance"] - own["inter_variance_lower"])
    [law] = named(figure, "closed form", "x")
    np.testing.assert_allclose(law.y, LAW * np.array(law.x))
    assert not named(figure, "closed form", "x2")
    [reference, other] = named(figure, "the teacher's MSE")
    assert set(reference.y) == set(other.y) == {TEACHER_MSE}


def test_section_5_shows_dispersion_and_independent_starts(tables, figures):
    figure = figures["initialisation"]
    [start] = named(figure, "before training")
    np.testing.assert_allclose(start.y, 0.1 * np.array(start.x) ** 2)
    assert 0.0 not in start.x  # a dispersion of zero has no logarithm
    assert figure.layout.meta["notes"] == ["5 estimates that are zero cannot be drawn on a logarithmic axis."]
    [variance] = named(figure, "ground truth", "x3")
    np.testing.assert_allclose(variance.y, 600.0 * np.array(variance.x) ** 2)
    [reference] = named(figure, "independent starts, ground truth", "x3")
    assert set(reference.y) == {600.0}


def test_bootstrap_leaves_out_what_is_exactly_zero(tables, figures):
    figure = figures["bootstrap"]
    assert "4 estimates that are zero" in figure.layout.meta["notes"][0]
    assert not named(figure, "teacher labels", "x")
    [network] = named(figure, "teacher labels", "x2")
    np.testing.assert_allclose(network.y, 40.0 / np.array(network.x))


def test_section_6_sets_students_beside_their_teacher(tables, figures):
    frame = tables["student_output"]
    figure = figures["student_output"]
    [teacher] = named(figure, "teacher", "x")
    [student] = named(figure, "argmax labels, network", "x")
    own = frame[(frame["source"] == "digits") & (frame["role"] == "teacher")]
    np.testing.assert_allclose(teacher.y, own["entropy"])
    np.testing.assert_allclose(np.array(student.y) / np.array(teacher.y), 0.3)
    assert teacher.meta == "ink"
    assert len({round(trace.x[0], 6) for trace in figure.data if trace.xaxis == "x"}) == 7  # none hides another


def test_section_7_has_points_law_and_ratios(tables, figures):
    figure = figures["remedies"]
    assert figure.layout.meta["notes"] == ["1 more noise levels are in the table."]
    [law] = named(figure, "closed form, a/k", "x")
    np.testing.assert_allclose(law.y, 0.1 * LAW / np.array(COUNTS))
    [average] = named(figure, "average", "x4")  # networks at the largest noise
    np.testing.assert_allclose(average.y, FLOOR + 0.8 * LAW / np.array(COUNTS))
    filled, hollow = named(figure, "inverse variance, estimated", "x7")
    np.testing.assert_allclose(filled.y, 0.9)
    np.testing.assert_allclose(hollow.y, 1.8)
    assert (filled.marker.symbol, hollow.marker.symbol) == ("circle", "circle-open")
    assert set(named(figure, "no gain", "x7")[0].y) == {1.0}


def test_sources_are_the_components(tables, figures):
    figure = figures["uncertainty_sources"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles[0] == "<b>linear students, linear_regression teacher</b>"
    frame = tables["variance_components"]
    own = frame[(frame["model"] == "network") & (frame["split"] == "test")]
    for source in ("response", "initialisation", "order", "residual"):
        [bar] = [t for t in figure.data if t.type == "bar" and t.legendgroup == source and t.xaxis == "x2"]
        np.testing.assert_allclose(bar.x, own.loc[own["component"] == source, "estimate"])
    [sums] = [t for t in figure.data if t.legendgroup == "sum" and t.xaxis == "x2"]
    np.testing.assert_allclose(sums.x, own.loc[own["component"] == "inter_unbiased", "estimate"])


def test_the_curve_is_the_fit_and_the_diamond_the_recommendation(tables, figures):
    figure = figures["response_curve"]
    fits = named(figure, "fit a/k + b", "x2")
    assert len(fits) == 2
    for fit, noise in zip(fits, (0.1, 1.0), strict=True):
        np.testing.assert_allclose(fit.y, 0.8 * LAW * noise / np.array(fit.x) + FLOOR)
    assert [line.y[0] for line in named(figure, "floor b", "x2")] == [FLOOR, FLOOR]
    assert not named(figure, "floor b", "x")  # linear students have none
    assert [mark.x[0] for mark in named(figure, "recommended k", "x2")] == [1, 7]
    [points] = named(figure, "noise 1", "x2")
    np.testing.assert_allclose(points.y, 0.8 * LAW / np.array(COUNTS) + FLOOR)


def test_quality_has_the_teacher_and_the_control(tables, figures):
    figure = figures["student_quality"]
    [points] = named(figure, "noise 1", "x")
    np.testing.assert_allclose(points.y, TEACHER_MSE + LAW / np.array(COUNTS))
    assert set(named(figure, "the teacher", "x")[0].y) == {TEACHER_MSE}
    assert set(named(figure, "trained on ground truth", "x2")[0].y) == {TEACHER_MSE + FLOOR + 80.0}


def test_advice_shows_variance_and_responses_of_each_way(tables, figures):
    frame = tables["advice"]
    figure = figures["advice"]
    own = frame[(frame["model"] == "network") & (frame["noise"] == 1.0) & (frame["deployment"] == "student")]
    first, second = (
        named(figure, "network students, linear_regression teacher, noise 1", "x"),
        named(figure, "network students, linear_regression teacher, noise 1", "x4"),
    )
    np.testing.assert_allclose(first[0].y, own["variance"])
    np.testing.assert_allclose(second[0].y, own["num_responses"])
    np.testing.assert_allclose(second[0].error_y.array, 1.0)


def test_user_names_are_not_markup(tables):
    frames = {
        name: frame.replace({"<b>": "x"}).assign(teacher="<b>") if "teacher" in frame else frame
        for name, frame in tables.items()
    }
    frames["student_output"] = tables["student_output"].replace({"source": {"wine": "<i>"}})
    for figure in make_figures(frames).values():
        text = figure.to_json().replace("\\u003c", "<")
        assert "<i>" not in text.replace("<b>&lt;i&gt;</b>", "")
        assert "<b> teacher" not in text
