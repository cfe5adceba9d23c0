"""The table of the comparison: its schema, its rows, its figures."""

import numpy as np
import pytest
from scipy import stats

from kd_uncertainty import schemas
from kd_uncertainty.comparison.table import comparison_table

from .worlds import compared, make_data, planted

DATA = make_data()


@pytest.fixture(scope="module")
def comparison():
    return compared(DATA, planted(DATA))


@pytest.fixture(scope="module")
def table(comparison):
    return comparison_table(comparison, 5, 0.95)


def test_it_fits_its_schema_and_has_each_row_once(table):
    schemas.teacher_comparison(table)
    keys = ["teacher", "num_draws", "fraction", "mixing", "temperature", "split", "metric"]
    assert not table.duplicated(keys).any()
    assert (table["num_students"] == 5).all()


def test_every_cell_has_students_on_both_splits(table, comparison):
    students = table[table["metric"].isin(["accuracy", "nll", "ece"])]
    cells = sum(len(lesson.outcomes) for lesson in comparison.lessons) + len(comparison.control)
    assert len(students) == cells * 3 * 2
    assert set(table.loc[table["teacher"] == "none", "kind"]) == {"none"}


def test_intervals_are_students_t_over_students(table, comparison):
    lesson = comparison.lessons[0]
    values = lesson.outcomes[lesson.base].metrics["test", "nll"]
    own = table[(table["teacher"] == "corrupted") & (table["split"] == "test") & (table["metric"] == "nll")].iloc[0]
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert (own["estimate"], own["lower"], own["upper"]) == pytest.approx((values.mean(), low, high))


def test_teachers_have_their_own_rows(table):
    own = table[table["metric"].str.startswith("teacher_")]
    assert set(own["teacher"]) == {"corrupted", "exact", "noisy"}
    errors = own[own["metric"] == "teacher_error"].set_index(["teacher", "num_draws"])["estimate"]
    assert errors["exact", 1] < 1e-9 < errors["corrupted", 1]
    assert errors["noisy", 8] < errors["noisy", 1]
    assert set(own.loc[own["metric"] == "teacher_error", "split"]) == {"train"}


def test_an_unknown_error_is_nan_and_says_so():
    table = comparison_table(compared(make_data(known=False), planted(DATA)[:1]), 5)
    errors = table[table["metric"] == "teacher_error"]
    assert len(errors) == 1
    assert np.isnan(errors["estimate"]).all()
    assert "bayes_error" not in set(table["metric"])


def test_bounds_stay_in_their_range(table):
    shares = table[table["metric"].isin(["accuracy", "ece", "teacher_accuracy", "teacher_ece"])]
    assert shares["upper"].max() <= 1.0
    assert table["lower"].min() >= 0.0


def test_a_table_without_a_column_is_refused(table):
    from kd_uncertainty.errors import UserError

    with pytest.raises(UserError, match=r"teacher_comparison: column 'mixing' is missing"):
        schemas.teacher_comparison(table.drop(columns="mixing"))
