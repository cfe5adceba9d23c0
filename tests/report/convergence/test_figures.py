"""Figures show the tables' figures: points, laws and guarantees; and say so where there is nothing."""

from __future__ import annotations

import numpy as np
import pytest

from kd_uncertainty.report.convergence.figures import make_figures
from kd_uncertainty.report.convergence.figures.mixture import mixture_figure
from kd_uncertainty.report.convergence.figures.plateau import plateau_figure
from kd_uncertainty.report.convergence.figures.stability import stability_figure
from kd_uncertainty.report.convergence.figures.steps import step_sweep_figure
from kd_uncertainty.report.convergence.figures.teachers import teacher_error_figure

from ..pages import named
from .study import BREAK_EVEN, NOISES, RATES, SIGMA, TEACHERS, UNIT, best_mixing, make_tables, noise_of, scale, teachers


@pytest.fixture(scope="module")
def figures():
    return make_figures(make_tables())


def test_the_shared_law(tables, figures):
    figure, frame = figures["mixture"], tables["mixture"]
    (line,) = named(figure, "where all minima lie: 1 − λ*")
    assert (list(line.x), list(line.y)) == ([0.0, 1.0], [1.0, 0.0])
    for arm, level in teachers():
        label = f"additive, ν = {level:g}" if arm == "additive" else f"Dirichlet, a = {level:g}"
        best, own = best_mixing(arm, level), frame[(frame["arm"] == arm) & (frame["level"] == level)]
        (points,), (law,) = named(figure, label), named(figure, f"{label}: law")
        one_hot = RATES[0] * SIGMA / 4.0
        np.testing.assert_allclose(points.y, own["plateau"] / one_hot)
        np.testing.assert_allclose(points.error_y.array, (own["plateau_upper"] - own["plateau"]) / one_hot)
        expected = (1 - np.array(law.x)) ** 2 + np.array(law.x) ** 2 * noise_of(arm, level) / SIGMA
        np.testing.assert_allclose(law.y, expected)
        (diamond,) = named(figure, f"{label}: λ*", "x")
        assert (diamond.x[0], diamond.y[0]) == pytest.approx((best, 1.0 - best))
        assert min(law.y) >= diamond.y[0] - 1e-9  # the diamond is the curve's minimum
    measured = named(figure, "least measured plateau", "x2")
    assert [mark.x[0] for mark in measured] == [best_mixing(*teacher) + 0.005 for teacher in teachers()]
    weights = named(figure, "inverse-variance weight of the measured noises", "x2")
    assert [mark.x[0] for mark in weights] == pytest.approx([best_mixing(*teacher) for teacher in teachers()])
    assert "contains λ* for 4 of 4 teachers" in figure.layout.meta["description"]


def test_a_minimum_that_misses_is_said_in_the_caption(tables):
    first = tables["mixture"]["arm"] == "additive"
    tables["mixture"].loc[first, ["lambda_hat", "lambda_hat_lower", "lambda_hat_upper"]] = [0.1, 0.05, 0.15]
    assert "contains λ* for 2 of 4 teachers" in mixture_figure(tables["mixture"]).layout.meta["description"]


def test_points_above_the_picture_are_counted(tables):
    before = mixture_figure(tables["mixture"])
    assert before.layout.meta["notes"] == ["1 point above the picture: see the table."]  # of additive noise alone
    scale(tables["mixture"], "plateau", 10.0, tables["mixture"]["mixing"] == 0.0)
    figure = mixture_figure(tables["mixture"])
    assert "5 points above the picture: see the table." in figure.layout.meta["notes"]
    assert figure.layout.yaxis.range[1] < 3.0


def test_gradient_noise_stands_beside_its_closed_form(tables, figures):
    frame = tables["gradient_noise"]
    own = frame[frame["arm"] != "exact"]
    figure = figures["gradient_noise"]
    (law,) = named(figure, "closed form")
    assert sorted(law.x) == pytest.approx(sorted(own["closed_form"]))
    noise, ratio = named(figure, "measured", "x")[0], named(figure, "measured", "x2")[0]
    np.testing.assert_allclose(np.array(noise.x), 1.002 * np.array(law.x))
    np.testing.assert_allclose(ratio.x, 1.002)
    assert "3.0e−16" in figure.layout.meta["description"]
    labels = figure.layout.yaxis.ticktext
    assert labels[0] == "one-hot"
    assert "exact" not in labels


def test_the_descent_has_a_panel_a_step_size_and_the_predicted_plateaus(figures):
    figure = figures["descent"]
    assert len([axis for axis in figure.select_xaxes() if axis.visible is not False]) == 2
    assert "1 more step sizes are in the table." in figure.layout.meta["notes"]
    (curve,) = named(figure, "one-hot", "x2")
    rate = RATES[-1]
    np.testing.assert_allclose(curve.y, 0.7 * np.exp(-0.05 * rate * np.array(curve.x)) + rate * SIGMA / 4.0)
    assert 0 not in curve.x  # no logarithm
    (law,) = named(figure, "α σ*/4", "x2")
    assert set(law.y) == {rate * SIGMA / 4.0}
    assert named(figure, "exact", "x2")
    assert not named(figure, "exact: α σ*/4")


def test_plateaus_lie_over_their_law(tables, figures):
    figure, frame = figures["plateau"], tables["plateau"]
    own = frame[frame["arm"] == "one_hot"]
    points, ratio = named(figure, "one-hot", "x")[0], named(figure, "one-hot", "x2")[0]
    np.testing.assert_allclose(points.y, own["plateau"])
    np.testing.assert_allclose(ratio.y, 1.02)
    (law,) = named(figure, "law α σ*/4")
    np.testing.assert_allclose(law.y, np.array(RATES) * SIGMA / 4.0)
    assert not named(figure, "exact")
    assert "rounding at 1 of 3 step sizes" in figure.layout.meta["description"]


def test_plateaus_that_have_not_settled_are_hollow_and_left_out_of_the_caption(tables):
    frame = tables["plateau"]
    first = frame["learning_rate"] == RATES[0]
    frame.loc[first, "transient"] = 0.3
    scale(frame, "plateau", 2.0, first)
    figure = plateau_figure(frame)
    filled, hollow = named(figure, "one-hot", "x")
    assert (filled.marker.symbol, hollow.marker.symbol) == ("circle", "circle-open")
    assert list(hollow.x) == [RATES[0]]
    assert hollow.showlegend is False
    assert "runs from 1.02 to 1.02" in figure.layout.meta["description"]


def test_the_sweep_marks_both_guarantees(tables, figures):
    figure, frame = figures["step_sweep"], tables["step_sweep"]
    for axis in ("x", "x2"):
        assert set(named(figure, "guarantee 1/(2L)", axis)[0].x) == {0.5}
        assert set(named(figure, "guarantee 1/L", axis)[0].x) == {1.0}
    own = frame[frame["arm"] == "one_hot"]
    points, growth = named(figure, "one-hot", "x")[0], named(figure, "one-hot", "x2")[0]
    np.testing.assert_allclose(points.x, own["learning_rate"] / UNIT)
    np.testing.assert_allclose(points.y, own["contraction"])
    np.testing.assert_allclose(growth.y, own["growth"])
    bounds = named(figure, "the theorem’s bound")
    assert [max(bound.x) for bound in bounds] == [0.5, 1.0]  # only where it is promised
    np.testing.assert_allclose(bounds[0].y, 2.0 * own["contraction"][:3])  # the bound is twice the distance
    assert "up to 4.00/L with one-hot labels and 4.00/L with exact" in figure.layout.meta["description"]


def test_contractions_below_the_axis_are_drawn_at_its_end(tables):
    frame = tables["step_sweep"]
    deep = (frame["arm"] == "exact") & frame["within_guarantee"]
    frame.loc[deep, ["contraction", "contraction_lower", "contraction_upper"]] = 1e-40
    figure = step_sweep_figure(frame)
    assert min(named(figure, "exact", "x")[0].y) == 1e-12
    assert figure.layout.meta["notes"][0] == "4 shares below 1.0e−12 are drawn there."


def test_training_curves_by_group_with_one_hot_in_each(tables, figures):
    figure, frame = figures["stability_curves"], tables["stability_curves"]
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [
        "<b>known probabilities: validation accuracy</b>",
        "<b>known probabilities: validation NLL</b>",
        "<b>teachers: validation accuracy</b>",
        "<b>teachers: validation NLL</b>",
    ]
    assert {trace.xaxis for trace in named(figure, "one-hot")} == {"x", "x2", "x3", "x4"}
    (curve,) = named(figure, "exact")[:1]
    own = frame[(frame["arm"] == "exact") & (frame["metric"] == "accuracy")]
    np.testing.assert_allclose(curve.y, own["estimate"])
    (band,) = named(figure, "exact: interval", "x")
    np.testing.assert_allclose(band.y[: len(own)], own["upper"])
    np.testing.assert_allclose(band.y[len(own) :], own["lower"][::-1])
    assert not named(figure, "variational teacher", "x")
    assert named(figure, "variational teacher", "x3")


def test_noises_stand_side_by_side_by_all_definitions(figures):
    figure = figures["stability"]
    panels = named(figure, "ratio")
    assert len(panels) == len(NOISES)
    labels = list(figure.layout.yaxis.ticktext)
    assert labels[:2] == ["Dirichlet, a = 0.5, λ = 0.6", "Dirichlet, a = 0.5"]
    for panel in panels:
        found = dict(zip(labels, panel.x, strict=True))
        assert found["exact"] == pytest.approx(0.4)
        assert found["variational teacher"] == pytest.approx(0.4 + TEACHERS["variational"])
    assert "Of 25 ratios of teachers 25 lie below 1" in figure.layout.meta["description"]


def test_teachers_error_and_their_students(figures):
    figure = figures["teacher_error"]
    for name, error in TEACHERS.items():
        (point,) = named(figure, f"{name} teacher", "x")
        assert (point.x[0], point.y[0]) == pytest.approx((error, 0.5 + error))
    (reference,) = named(figure, "one-hot labels", "x")
    assert set(reference.y) == {1.1}
    assert "1.00 with the squared error" in figure.layout.meta["description"]
    assert "−0.80 with the calibration error" in figure.layout.meta["description"]


def test_without_bayes_probabilities_the_calibration_error_is_left(tables):
    frame = tables["stability"]
    tables["stability"] = frame[frame["arm"].isin(["one_hot", "teacher"]) & (frame["metric"] != "target_error")]
    figure = teacher_error_figure(tables["stability"], tables["teacher_error"])
    assert [note.text for note in figure.layout.annotations] == ["<b>calibration error (ECE),</b><br>test points"]
    assert len(named(stability_figure(tables["stability"]), "ratio")) == len(NOISES)


def test_break_even_is_where_additive_noise_equals_labels():
    assert noise_of("additive", BREAK_EVEN) == SIGMA
