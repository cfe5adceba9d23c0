"""Points are the components, lines are a/k + b, and the mark is the recommended k."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.report.figures import response_curve

from ..study import FLOOR, RESPONSE_VARIANCE, budget_row, put, rows_of


@pytest.fixture
def figure(tables):
    return response_curve(tables["variance_components"], tables["response_budget"])


def traces(figure, name: str, axis: str = "x2") -> list:
    return [trace for trace in figure.data if trace.name == name and trace.xaxis == axis]


@pytest.mark.parametrize(
    ("component", "name"), [("inter_unbiased", "label: inter-student"), ("response", "label: response component")]
)
def test_points_are_the_validation_components_with_their_intervals(tables, figure, component, name):
    frame = tables["variance_components"]
    own = frame[rows_of(frame, teacher="ensemble", target="label", split="validation", component=component)]
    own = own.sort_values("num_responses")
    [trace] = traces(figure, name)
    assert list(trace.y) == pytest.approx(list(own["estimate"]))
    assert list(trace.error_y.array) == pytest.approx(list(own["upper"] - own["estimate"]))
    assert [row[0] for row in trace.customdata] == list(own["num_responses"])
    assert np.asarray(trace.x) == pytest.approx(own["num_responses"].to_numpy(), rel=0.07)


def test_lines_are_the_fit(figure):
    a = RESPONSE_VARIANCE["ensemble", "label"]
    for name, law in (
        ("label: fit a/k + b", lambda k: a / k + FLOOR),
        ("label: fit, extrapolated", lambda k: a / k + FLOOR),
        ("label: a/k", lambda k: a / k),
        ("label: floor b", lambda k: FLOOR + 0 * k),
    ):
        [trace] = traces(figure, name)
        k = np.asarray(trace.x)
        assert np.asarray(trace.y) == pytest.approx(law(k))
    assert traces(figure, "label: fit a/k + b")[0].x[-1] == pytest.approx(32)
    assert traces(figure, "label: fit, extrapolated")[0].x[0] == pytest.approx(32)
    assert traces(figure, "label: fit, extrapolated")[0].line.dash == "dash"


def test_the_mark_stands_at_the_recommended_k_on_the_fit(tables, figure):
    budget = tables["response_budget"].query("teacher == 'ensemble' and target == 'label'").iloc[0]
    k = budget["recommended_num_responses"]
    [mark] = traces(figure, "label: recommended k")
    assert tuple(mark.x) == (k, k)
    assert mark.y[1] == pytest.approx(budget["response_variance"] / k + budget["floor"])
    assert f"k = {k}" in [note.text for note in figure.layout.annotations]


def test_a_far_k_is_pointed_at_and_none_is_said(tables):
    rows = [budget_row("ensemble", "label", 0.02, recommended_num_responses=9000)]
    rows += [budget_row("dropout", "label", 0.02, recommended_num_responses=pd.NA)]
    figure = response_curve(tables["variance_components"], pd.DataFrame(rows))
    texts = [note.text for note in figure.layout.annotations]
    assert "k = 9000 →" in texts
    assert "no k suffices" in texts
    assert 10 ** figure.layout.xaxis.range[1] < 100
    assert not [trace for trace in figure.data if str(trace.name).endswith("recommended k")]


def test_estimates_that_a_logarithm_cannot_show_are_counted(tables):
    put(tables["variance_components"], -0.001, 0.01, teacher="ensemble", num_responses=32, component="response")
    figure = response_curve(tables["variance_components"], tables["response_budget"])
    assert figure.layout.meta["notes"] == ["1 estimate at or below zero cannot be drawn on a logarithmic axis."]
    [trace] = traces(figure, "label: response component")
    assert len(trace.y) == 5


def test_marks_of_two_targets_stand_on_lines_of_their_own(figure):
    shifts = [note.yshift for note in figure.layout.annotations if note.text.startswith("k =") and note.xref == "x2"]
    assert len(set(shifts)) == 2


def test_no_fit_still_shows_the_points(tables):
    figure = response_curve(tables["variance_components"], tables["response_budget"].iloc[:0])
    assert traces(figure, "label: inter-student")
    assert not traces(figure, "label: fit a/k + b")


def test_without_sampled_responses_there_is_no_curve(tables):
    frame = tables["variance_components"]
    figure = response_curve(frame[frame["target"] == "exact"], tables["response_budget"])
    assert "no curve in k" in figure.layout.annotations[-1].text


def test_arms_that_differ_in_mixing_are_curves_of_their_own(tables):
    frame, budget = tables["variance_components"], tables["response_budget"]
    both = pd.concat([frame, frame.assign(mixing=0.5, arm=frame["arm"] + 100)])
    fits = pd.concat([budget, budget.assign(mixing=0.5, recommended_num_responses=20)])
    figure = response_curve(both, fits)
    assert len(traces(figure, "label: inter-student")) == 2
    shifts = [note.yshift for note in figure.layout.annotations if note.text.startswith("k =") and note.xref == "x2"]
    assert len(shifts) == len(set(shifts)) == 4
