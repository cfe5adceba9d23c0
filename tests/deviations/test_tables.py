"""Tables of one arm: what their rows are, and that the difference from the control is calibrated."""

import numpy as np
import pytest

from kd_uncertainty.deviations.statistics import DEVIATIONS, by_confidence, deviation_statistics, log_odds
from kd_uncertainty.deviations.summaries import Independent
from kd_uncertainty.deviations.tables import Compared, deviation_bins, deviation_table, figures_of
from kd_uncertainty.uncertainty.students import student_mean

from .worlds_confidence import null_world, planted_logits

KEYS = {"teacher": "t", "temperature": 4.0}


def some_logits(students=5, control=4, examples=60, seed=0):
    _, teacher, others = null_world(students + control, examples, classes=3, seed=seed)
    labels = np.random.default_rng(seed).integers(0, 3, examples)
    return Compared(teacher, others[:students], others[students:], labels)


def cell(table, statistic, group):
    (row,) = table[(table["statistic"] == statistic) & (table["group"] == group)].to_dict("records")
    return row


def test_rows_are_means_over_students_beside_the_control():
    compared = some_logits()
    table = deviation_table(compared, keys=KEYS, split="train", summary=Independent(0.9))
    assert list(table.columns[:3]) == ["teacher", "temperature", "split"]
    assert set(table["statistic"]) == {*DEVIATIONS, "accuracy"}
    own = deviation_statistics(*log_odds(compared.teacher, compared.students))
    row = cell(table, "slope", "student")
    assert (row["estimate"], row["lower"], row["upper"]) == pytest.approx(student_mean(own["slope"], 0.9))
    assert (row["num_students"], cell(table, "slope", "control")["num_students"]) == (5, 4)
    difference = cell(table, "slope", "difference")
    assert difference["estimate"] == pytest.approx(row["estimate"] - cell(table, "slope", "control")["estimate"])
    half = difference["upper"] - difference["estimate"]
    assert abs(difference["standard_errors"]) < abs(difference["estimate"]) / half * 3
    assert np.isnan(row["standard_errors"])


def test_accuracies_are_those_of_the_labels_and_the_teacher_has_one_too():
    compared = some_logits()
    table = deviation_table(compared, keys=KEYS, split="test")
    for group, logits in (("student", compared.students), ("control", compared.control), ("teacher", compared.teacher)):
        assert cell(table, "accuracy", group)["estimate"] == pytest.approx(
            (logits.argmax(-1) == compared.labels).mean()
        )
    without = deviation_table(compared._replace(labels=None), keys=KEYS, split="test")
    assert "accuracy" not in set(without["statistic"])
    assert set(without["group"]) == {"student", "control", "difference"}


def test_a_planted_student_stands_beside_a_control_that_copies_the_teacher():
    x = np.linspace(0.0, 5.0, 40)
    classes = np.arange(40) % 3
    teacher = planted_logits(x, classes, 3)
    students = planted_logits(np.stack([1.5 * x - 1.0, 2.5 * x - 1.0, 2.0 * x - 1.0]), classes, 3)
    table = deviation_table(Compared(teacher, students, np.stack([teacher] * 3)), keys=KEYS, split="train")
    assert cell(table, "slope", "student")["estimate"] == pytest.approx(2.0)
    assert cell(table, "slope", "difference")["estimate"] == pytest.approx(1.0)
    assert cell(table, "slope", "difference")["standard_errors"] == pytest.approx(np.sqrt(3.0) * 2.0)
    assert cell(table, "low_decile_below", "student")["estimate"] == 1.0
    assert cell(table, "low_decile_below", "control")["estimate"] == 0.0


def test_bounds_of_shares_stay_between_0_and_1_and_of_their_differences_between_minus_1_and_1():
    table = deviation_table(some_logits(3, 3, 12), keys=KEYS, split="train", summary=Independent(0.999))
    shares = table[table["statistic"].isin(["low_decile_below", "high_decile_above", "accuracy"])]
    assert shares["upper"].max() <= 1.0
    assert shares.loc[shares["group"] != "difference", "lower"].min() >= 0.0
    assert shares["lower"].min() >= -1.0


def test_students_that_are_no_different_from_the_control_differ_by_chance_alone():
    """All networks are exchangeable: of 400 intervals, .95 +- 4 binomial standard errors cover 0."""
    names, covered = ("slope", "slope_low_quartile", "median_shift_low", "low_decile_below"), np.zeros((2, 4))
    for seed in range(400):
        _, teacher, others = null_world(16, examples=60, classes=3, noise=1.0, seed=seed)
        compared = Compared(teacher, others[:8], others[8:])
        students, control = figures_of(compared, compared.students), figures_of(compared, compared.control)
        for row, paired in enumerate((True, False)):
            for column, name in enumerate(names):
                found, _ = Independent(0.95, paired).difference(students[name], control[name])
                covered[row, column] += found.lower <= 0.0 <= found.upper
    assert np.abs(covered / 400 - 0.95).max() < 4 * np.sqrt(0.95 * 0.05 / 400)


def test_bins_hold_the_quartiles_of_students_where_the_teacher_is_as_sure():
    compared = some_logits(examples=62)
    bins = deviation_bins(compared, keys=KEYS, split="train", num_bins=6)
    x, y = by_confidence(*log_odds(compared.teacher, compared.students))
    row = bins[(bins["group"] == "student") & (bins["bin"] == 2)].iloc[0]
    part = slice(22, 32)  # bins of 11, 11, 10, ...
    assert row["count"] == 50
    assert row["teacher_logit"] == pytest.approx(np.median(x[:, part]))
    lower, median, upper = np.percentile(y[:, part], [25, 50, 75])
    assert (row["lower_quartile"], row["median"], row["upper_quartile"]) == pytest.approx((lower, median, upper))
    assert bins.groupby("group")["count"].sum().to_dict() == {"student": 5 * 62, "control": 4 * 62}
    assert len(deviation_bins(compared, keys=KEYS, split="train", num_bins=1000)) == 2 * 62
