"""The section: its tables, and what they must say."""

import math

import numpy as np
import pytest
from pydantic import ValidationError

from kd_uncertainty.bounds.processes import CERTIFIED, ProcessesOptions, processes
from kd_uncertainty.errors import UserError

KEYS = [
    "configuration", "world", "margin", "num_examples", "inverse_temperature", "student_inverse_temperature",
    "label_noise", "student_hypotheses",
]  # fmt: skip
FEW = ProcessesOptions(
    num_examples=(1, 4, 8), inverse_temperatures=(0.3, 3.0), label_noise=(0.0, 0.2), num_worlds=1, radii=(0.3,)
)


@pytest.fixture(scope="module")
def few():
    return processes(FEW)


def assert_sound(found):
    """Certificates never fail, the chain rule holds, and proxies come in order."""
    table, sharpness = found
    for proxy, certified in CERTIFIED.items():
        if certified:
            assert table[[f"lower_holds_{proxy}", f"upper_holds_{proxy}"]].all(axis=None), proxy
            tightness = table[f"tightness_{proxy}"].dropna()
            assert tightness.min() >= 2.0 - 1e-9
    assert table["lower_holds_central"].all()
    assert (table["lower_central"] >= table["lower_cumulant"] - 1e-12).all()
    assert (table["central_constant"].dropna() <= 1.0).all()
    assert table["chain_rule_error"].max() < 1e-9
    assert (table["gen_teacher"] > 0.0).all()  # a Gibbs teacher
    assert (table["sigma_std"] <= table["sigma_cumulant"]).all()
    assert (table["sigma_cumulant"] <= table["sigma_hoeffding"] * (1 + 1e-6)).all()
    assert sharpness["upper_holds"].all()
    assert (sharpness["sharpness_student"] > 0.0).all()  # the log loss is convex


def test_bounds_hold_where_they_must(few):
    assert len(few.table) >= 100
    assert_sound(few)


@pytest.mark.slow
def test_the_default_has_no_violation_but_by_the_standard_deviation():
    found = processes(ProcessesOptions())
    assert len(found.table) >= 100
    assert_sound(found)
    table = found.table
    fails = ~table[["lower_holds_std", "upper_holds_std"]].all(axis=1)
    assert 0 < fails.sum() < 0.02 * len(table)  # it is no certificate, though close to one
    assert 0.9 < table["true_inside_cumulant"].mean() < 1.0  # the bounds speak of pseudo-labels alone


def test_one_row_a_configuration(few):
    table, sharpness = few
    assert list(table)[: len(KEYS)] == KEYS
    expected = 1 * 2 * 3 * 2 * 2 * 3 * 2
    assert len(table) == expected == len(table[KEYS[1:]].drop_duplicates())
    assert table["configuration"].tolist() == list(range(expected)) == sharpness["configuration"].tolist()
    numbers = table.select_dtypes("number").drop(columns=["central_constant"])
    assert np.isfinite(numbers.drop(columns=["central_eta"])).all(axis=None)


def test_columns_follow_from_each_other(few):
    table = few.table
    shifts = table["dataset_shift"] + table["algorithm_shift"]
    np.testing.assert_allclose(table["divergence"], shifts, rtol=1e-12)
    for proxy in CERTIFIED:
        half = table[f"sigma_{proxy}"] * np.sqrt(2.0 * table["divergence"])
        np.testing.assert_allclose(table[f"upper_{proxy}"], table["gen_teacher"] + half, rtol=1e-12)
        np.testing.assert_allclose(table[f"lower_{proxy}"], table["gen_teacher"] - half, atol=1e-12)
        inside = table["gen_student_true"].between(table[f"lower_{proxy}"] - 1e-12, table[f"upper_{proxy}"] + 1e-12)
        assert (inside == table[f"true_inside_{proxy}"]).all()
        gap = (table["gen_student"] - table["gen_teacher"]).abs()
        np.testing.assert_allclose(table[f"tightness_{proxy}"], 2.0 * half / gap, rtol=1e-9)
    finite = table["central_eta"] < math.inf
    by_constant = table["central_constant"] * table["gen_teacher"] - table["divergence"] / table["central_eta"]
    np.testing.assert_allclose(table["lower_central"][finite], by_constant[finite], atol=1e-9)


def test_a_teachers_columns_are_the_same_for_all_its_students(few):
    of_teacher = few.table.groupby(["world", "margin", "num_examples", "inverse_temperature", "label_noise"])
    names = ["gen_teacher", "dataset_shift", *(f"sigma_{proxy}" for proxy in CERTIFIED)]
    assert (of_teacher[names].nunique() == 1).all(axis=None)


def test_a_student_that_learns_as_its_teacher_is_shifted_by_its_data_alone(few):
    table = few.table
    alike = (table["student_inverse_temperature"] == table["inverse_temperature"]) & (table["student_hypotheses"] == 5)
    assert (table.loc[alike, "algorithm_shift"].abs() < 1e-13).all()
    assert (table.loc[~alike, "algorithm_shift"] > 1e-3).all()
    assert (table["dataset_shift"] > 0.0).all()


def test_a_student_that_learns_nothing_has_no_gap_on_average_over_labels_it_ignores(few):
    """Its model depends on nothing, so that its gap to the true labels is 0 exactly."""
    blind = few.table[few.table["student_inverse_temperature"] == 0.0]
    np.testing.assert_allclose(blind["gen_student_true"], 0.0, atol=1e-13)
    assert (blind["gen_student"].abs() > 1e-6).any()


def test_sharpness_gains_nothing_with_exact_sigmas_and_costs_more_with_the_radius():
    options = FEW.model_copy(update={"num_examples": (1, 4), "radii": (0.01, 0.3, 1.0)})
    table = processes(options).sharpness
    assert (table["gain"] < 1e-6).all()
    each = table.pivot_table(index="configuration", columns="radius", values="upper")
    assert (np.diff(each.to_numpy(), axis=1) > 0.0).all()
    assert table.loc[table["radius"] == 0.01, "gain"].min() > -1e-3  # at radius 0 both bounds are one


@pytest.mark.parametrize("loss", ["brier", "zero_one"])
def test_other_losses(loss):
    options = FEW.model_copy(update={"loss": loss, "num_examples": (4,), "num_inputs": 3, "student_hypotheses": (5,)})
    table = processes(options).table
    for proxy, certified in CERTIFIED.items():
        assert not certified or table[[f"lower_holds_{proxy}", f"upper_holds_{proxy}"]].all(axis=None)
    assert table["lower_holds_central"].all()
    assert (table["sigma_hoeffding"] <= 1.0).all()


def test_the_same_options_give_the_same_table_and_another_seed_another(few):
    again = processes(FEW.model_copy(update={"num_examples": (4,)})).table
    same = few.table[few.table["num_examples"] == 4].reset_index(drop=True).drop(columns="configuration")
    assert again.drop(columns="configuration").equals(same)
    other = processes(FEW.model_copy(update={"num_examples": (4,), "seed": 1})).table
    assert not np.isclose(other["gen_teacher"], again["gen_teacher"]).any()


def test_impossible_options_are_refused():
    with pytest.raises(UserError, match="student_hypotheses: 6"):
        processes(ProcessesOptions(student_hypotheses=(6,)))
    with pytest.raises(UserError, match="ask for fewer"):
        processes(ProcessesOptions(num_examples=(200,)))
    with pytest.raises(ValidationError):
        ProcessesOptions(temperature=1.0)
    with pytest.raises(ValidationError):
        ProcessesOptions(label_noise=(1.5,))
