"""How far teachers are from the truth, against the definition."""

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty.convergence.teacher_error import squared_error, teacher_error_table

from .worlds_networks import world


@pytest.fixture(scope="module")
def data():
    return world()


@pytest.fixture(scope="module")
def wrong(data):
    """Says of each class what is true of another."""
    return np.roll(data.bayes, 1, axis=1)


def found(data, probabilities, **changes):
    table = teacher_error_table(data, {"wrong": probabilities}, **changes)
    return table.set_index(["split", "metric"])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_squared_errors_are_means_over_examples_with_student_intervals(data, wrong, split):
    chosen = data.splits == split
    errors = np.square(wrong - data.bayes)[chosen].sum(axis=1)
    row = found(data, wrong, confidence=0.9).loc[split, "squared_error_to_bayes"]
    half = stats.t.ppf(0.95, chosen.sum() - 1) * errors.std(ddof=1) / np.sqrt(chosen.sum())
    np.testing.assert_allclose(
        row[["estimate", "lower", "upper"]].to_list(), errors.mean() + half * np.array([0, -1, 1])
    )


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_other_metrics_are_against_the_labels(data, wrong, split):
    chosen, labels = data.splits == split, data.labels.numpy()
    table = found(data, wrong).loc[split]
    assert list(table.index) == ["squared_error_to_bayes", "accuracy", "nll", "ece"]
    right = wrong.argmax(axis=1)[chosen] == labels[chosen]
    assert table.loc["accuracy", "estimate"] == pytest.approx(right.mean())
    likelihoods = np.take_along_axis(wrong, labels[:, None], axis=1)[chosen]
    assert table.loc["nll", "estimate"] == pytest.approx(-np.log(likelihoods).mean())
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()


def test_the_truth_has_no_error_and_a_certain_teacher_that_of_labels(data):
    assert found(data, data.bayes).loc["test", "squared_error_to_bayes"]["estimate"] == 0.0
    certain = np.eye(3)[data.labels.numpy()]
    table = found(data, certain)
    assert table.loc[("train", "accuracy"), "estimate"] == pytest.approx(1.0)
    expected = squared_error(certain, data.bayes)[data.splits == "train"].mean()
    assert table.loc[("train", "squared_error_to_bayes"), "estimate"] == pytest.approx(expected)
    assert expected > 0.05  # what the metrics on the labels that it has learnt by heart do not show


def test_the_squared_error_is_left_out_where_bayes_probabilities_are_unknown(data, wrong):
    assert set(found(data._replace(bayes=None), wrong).index.get_level_values("metric")) == {"accuracy", "nll", "ece"}


def test_without_teachers_there_are_no_rows_but_the_columns(data):
    table = teacher_error_table(data, {})
    assert table.empty
    assert list(table) == ["teacher", "split", "metric", "estimate", "lower", "upper"]
