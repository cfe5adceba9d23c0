"""Figures show the tables' figures: terms, bounds, gaps and widths; and say so where there is nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from kd_uncertainty.report.bounds.design import TERMS
from kd_uncertainty.report.bounds.figures import FIGURES, make_figures
from kd_uncertainty.report.bounds.figures.design import MOST, sweeps_figure
from kd_uncertainty.report.bounds.figures.networks import networks_figure
from kd_uncertainty.report.bounds.figures.processes import processes_figure

from ..pages import named
from .study import BASE, SIZES, TURNS, USED, WIDER, make_tables, terms_of


@pytest.fixture(scope="module")
def figures():
    return make_figures(make_tables())


def test_figures_are_named_after_tables():
    assert set(FIGURES) < make_tables().keys()


def test_bars_are_the_terms_and_add_up_to_the_bound(tables, figures):
    figure, frame = figures["decomposition_sweeps"], tables["decomposition_sweeps"]
    own = frame[frame["dial"] == "inverse_temperature"]
    heights = np.zeros(len(own))
    for term, name in TERMS.items():
        (bars,) = named(figure, name, "x")
        np.testing.assert_allclose(bars.y, [terms_of({**BASE, "inverse_temperature": v})[term] for v in own["value"]])
        heights += np.array(bars.y)
    np.testing.assert_allclose(heights, own["corrected_bound"])
    assert figure.layout.barmode == "stack"
    titles = [note.text for note in figure.layout.annotations]
    assert len(titles) == len(TURNS)
    assert titles[0] == "<b>inverse temperature β</b>"


def test_the_divergence_and_the_other_forms_lie_over_the_bars(tables, figures):
    figure, frame = figures["decomposition_sweeps"], tables["decomposition_sweeps"]
    own = frame[frame["dial"] == "rank"]
    (truth,), (tight,) = named(figure, "divergence K", "x2"), named(figure, "tight form", "x2")
    np.testing.assert_allclose(truth.y, own["divergence_exact"])
    np.testing.assert_allclose(truth.error_y.array, 0.01 * own["divergence_exact"])
    np.testing.assert_allclose(tight.y, own["tight_bound"])
    (literal,) = named(figure, "as printed: no bound", "x2")
    np.testing.assert_allclose(literal.y, own["literal_form"])
    assert "exceeds 0 of 15 bars and, at 1 settings, the form as printed" in figure.layout.meta["description"]


def test_the_best_setting_is_marked_and_the_base_is_bold(figures):
    figure = figures["decomposition_sweeps"]
    marks = named(figure, "least bound")
    assert len(marks) == len(TURNS)
    first = marks[0]
    assert list(first.x) == [1]  # inverse temperature 1, the second of four
    assert list(figure.layout.xaxis.ticktext) == ["0.5", "1", "<b>2</b>", "4"]
    assert "inverse temperature β 1 (18.7 nats)" in figure.layout.meta["description"]


def test_bars_that_are_cut_carry_their_heights(tables):
    frame = tables["decomposition_sweeps"]
    assert sweeps_figure(frame).layout.meta["notes"] == []
    frame.loc[frame["dial"] == "rank", "corrected_bound"] = [5000.0, 22.7, 16.7]
    figure = sweeps_figure(frame)
    assert figure.layout.meta["notes"] == ["1 bar cut off at the top: the number there is the whole bound."]
    (text,) = named(figure, "height of a bar that is cut")
    assert list(text.text) == ["5,000"]
    (shared,) = {axis.range for axis in figure.select_yaxes()}
    assert shared == (0.0, pytest.approx(1.12 * MOST * 22.69, rel=1e-3))


def test_bounds_stand_against_the_truth(tables, figures):
    figure, frame = figures["processes"], tables["processes"]
    (upper,) = named(figure, "upper bound, σ from the cumulant function", "x")
    np.testing.assert_allclose(upper.x, frame["gen_student"], rtol=1e-4)
    np.testing.assert_allclose(upper.y, frame["upper_cumulant"], rtol=1e-4)
    (central,) = named(figure, "lower bound, central condition", "x")
    np.testing.assert_allclose(central.y, frame["lower_central"], rtol=1e-4)
    (line,) = named(figure, "the truth", "x")
    assert list(line.x) == list(line.y)
    assert (np.array(upper.y) >= np.array(upper.x)).all()


def test_the_share_of_each_bound_that_is_used(figures):
    figure = figures["processes"]
    (upper,) = named(figure, "used of the upper bound", "x2")
    np.testing.assert_allclose(upper.y, USED, rtol=1e-4)
    assert len(upper.x) == 12  # every other student has the larger gap
    (lower,) = named(figure, "used of the lower bound", "x2")
    np.testing.assert_allclose(lower.y, USED / 0.8, rtol=1e-4)
    (limit,) = named(figure, "violated above", "x2")
    assert set(limit.y) == {1.0}


def test_widths_by_constant_and_gaps_by_labels(tables, figures):
    figure = figures["processes"]
    (stability,) = named(figure, "stability", "x3")
    assert stability.x[0] == pytest.approx(2.0 * WIDER["stability"] / USED)
    (gaps,) = named(figure, "student’s gap by kind of labels", "x4")
    np.testing.assert_allclose(gaps.y, tables["processes"]["gen_student_true"], rtol=1e-4)


def test_bounds_outside_the_picture_are_counted(tables):
    frame = tables["processes"]
    frame.loc[0, "upper_cumulant"] = 1000.0
    assert "1 bound outside the first panel." in processes_figure(frame).layout.meta["notes"][0]


def test_gaps_of_networks_lie_in_the_band(tables, figures):
    figure, frame = figures["network_bounds"], tables["network_bounds"]
    own = frame[frame["label_noise"] == 0.1].set_index(["quantity", "num_examples"])["estimate"]
    (band,) = named(figure, "interval, σ from the cumulant function", "x")
    count = len(SIZES)
    np.testing.assert_allclose(band.y[:count], own["upper_cumulant"])
    np.testing.assert_allclose(band.y[count:], own["lower_cumulant"][::-1])
    for name, quantity in (
        ("teacher", "gen_teacher"),
        ("student, pseudo-labels", "gen_student_pseudo"),
        ("student, true labels", "gen_student_true"),
    ):
        (points,) = named(figure, name, "x")
        np.testing.assert_allclose(points.y, own[quantity])
    assert "16 of 16 gaps lie inside" in figure.layout.meta["description"]
    assert "changes by × 0.35; 1/√n would be × 0.35" in figure.layout.meta["description"]


def test_widths_of_networks_stand_beside_the_gap_and_the_law(tables, figures):
    figure = figures["network_bounds"]
    (hoeffding,) = named(figure, "width: Hoeffding", "x2")
    assert np.ptp(hoeffding.y) == pytest.approx(0.0)
    (law,) = named(figure, "falling as 1/√n", "x2")
    np.testing.assert_allclose(np.array(law.y) * np.sqrt(SIZES), law.y[0] * math.sqrt(SIZES[0]))
    frame = tables["network_bounds"]
    own = frame["quantity"] == "gen_student_pseudo"
    frame.loc[own, ["estimate", "lower", "upper"]] = -frame.loc[own, ["estimate", "upper", "lower"]].to_numpy()
    (gap,) = named(networks_figure(frame), "the student’s gap itself", "x2")
    assert min(gap.y) > 0.0
    assert min(gap.error_y.array) > 0.0


def test_sharpness_is_drawn_against_the_radius(tables):
    frame = tables["sharpness"]
    figure = make_figures(tables)["sharpness"]
    bound = next(trace for trace in figure.data if trace.name == "sharpness-aware bound")
    ratio = (frame["upper"] / frame["upper_standard"]).groupby(frame["radius"]).median()
    np.testing.assert_allclose(bound.x, ratio.index)
    np.testing.assert_allclose(bound.y, ratio)
    parts = {trace.name: np.array(trace.y) for trace in figure.data if trace.yaxis == "y2"}
    np.testing.assert_allclose(parts["the teacher’s sharpness"], [0.006, 0.06])
    np.testing.assert_allclose(parts["change of σ"], [0.004, 0.04])
    assert "sharpness-aware bound is" in figure.layout.meta["description"]
