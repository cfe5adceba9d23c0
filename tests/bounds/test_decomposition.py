"""The section's tables: what moves with which dial, and the checklist."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from kd_uncertainty.bounds.decomposition import DIALS, TERMS, DecompositionOptions, checklist_table, decomposition

QUICK = {"num_draws": 1000, "num_sets": 12, "num_configurations": 3}
COLUMNS = [
    "dial", "value", "is_base", "divergence_exact", "divergence_exact_lower", "divergence_exact_upper",
    "dataset_shift", "algorithm_shift", "algorithm_shift_lower", "algorithm_shift_upper", "bias", "variance",
    "approximation", "approximation_lower", "approximation_upper", "covariance", "spread", "corrected_bound",
    "corrected_bound_lower", "corrected_bound_upper", "tight_bound", "tight_bound_lower", "tight_bound_upper",
    "literal_form", "literal_form_lower", "literal_form_upper", "literal_violated", "effective_dimension",
    "scaled_width", "num_draws", "num_sets", "best",
]  # fmt: skip


@pytest.fixture(scope="module")
def found():
    return decomposition(DecompositionOptions(**QUICK))


def turned(found, dial):
    return found.sweeps[found.sweeps["dial"] == dial].set_index("value")


def test_the_sweeps_hold_every_dial_and_sum_up(found):
    table, options = found.sweeps, DecompositionOptions()
    assert list(table) == COLUMNS
    assert {dial: tuple(turned(found, dial).index) for dial in DIALS} == options.turns
    assert table.groupby("dial")[["is_base", "best"]].sum().eq(1).all(axis=None)
    np.testing.assert_allclose(table[list(TERMS)].sum(axis=1), table["corrected_bound"], rtol=1e-12)
    np.testing.assert_allclose(table["dataset_shift"] + table["algorithm_shift"], table["divergence_exact"])
    for dial in DIALS:
        assert turned(found, dial)["best"].idxmax() == turned(found, dial)["corrected_bound"].idxmin()
    base = table[table["is_base"]].drop(columns=["dial", "value", "best"]).drop_duplicates()
    assert len(base) == 1
    assert table.notna().all(axis=None)


def test_bounds_hold_and_the_literal_form_fails_for_cold_teachers(found):
    table = found.sweeps
    assert (table["divergence_exact_upper"] <= table["tight_bound_upper"]).all()
    assert (table["divergence_exact"] <= table["tight_bound"]).all()
    assert (table["tight_bound"] <= table["corrected_bound"]).all()
    cold = turned(found, "inverse_temperature")["literal_violated"]
    assert cold.loc[16.0]
    assert not cold.loc[:1.0].any()


def test_variance_falls_and_spread_rises_with_beta(found):
    table = turned(found, "inverse_temperature")
    assert (np.diff(table["variance"]) < 0.0).all()
    assert (np.diff(table["spread"]) > 0.0).all()
    best = table.index[table["best"]].item()
    assert 0.25 < best < 2.0  # between noisy pseudo-labels and a teacher that follows its data too closely


def test_the_divergence_is_flat_in_n_and_the_interval_narrows_with_its_root(found):
    table = turned(found, "num_examples").loc[16:]
    assert np.ptp(table["divergence_exact"]) < 0.05 * table["divergence_exact"].mean()
    slope = np.polyfit(np.log(table.index), np.log(table["scaled_width"]), 1)[0]
    assert slope == pytest.approx(-0.5, abs=0.02)
    np.testing.assert_allclose(table["scaled_width"], np.sqrt(2 * table["divergence_exact"] / table.index))


def test_a_rank_that_the_truth_does_not_need_is_no_reason_for_the_divergence_to_grow(found):
    """With less rank than the truth, the divergence grows with n: the student cannot follow, and the data show it."""
    apx = turned(found, "rank")["approximation"]
    assert (np.diff(apx) < 0.0).all()
    assert apx.loc[3.0] == 0.0
    assert turned(found, "rank")["num_draws"].tolist() == [1000, 1000, 0]
    assert apx.loc[1.0] > 50.0 * apx.loc[2.0]
    poor = {dial: getattr(DecompositionOptions(), dial) for dial in DIALS} | {"rank": 1}
    plural = {"inverse_temperatures": 4.0, "ranks": 1, "label_noises": 0.5, "prior_precisions": 1.0}
    options = DecompositionOptions(**QUICK, **poor, **plural, student_sharpnesses=2.0, nums_examples=(32, 128))
    grown = turned(decomposition(options), "num_examples")["divergence_exact"]
    assert grown.loc[128.0] > 2.5 * grown.loc[32.0]


def test_inputs_without_rank_are_no_trouble(found):
    row = turned(found, "num_examples").loc[2.0]
    assert row["effective_dimension"] < 2.0
    assert row["num_draws"] == 0  # two examples, and a map of rank 2 loses none of them
    assert row["approximation"] > 1.0  # but nothing is known of other directions


def test_the_checklist_says_what_to_change_first(found):
    table = found.checklist.set_index("term")
    assert table.index[0] == "total"
    assert sorted(table.index[1:]) == sorted(TERMS)
    assert table["share"].iloc[1:].is_monotonic_decreasing
    assert table["share"].iloc[1:].sum() == pytest.approx(1.0)
    total = table.loc["total"]
    assert (total["dial"], total["from"]) == ("inverse_temperature", 4.0)
    assert total["to"] == turned(found, "inverse_temperature")["corrected_bound"].idxmin()
    assert total["bound_after"] == found.sweeps["corrected_bound"].min()
    assert total["reduction"] == pytest.approx(total["bound_before"] - total["bound_after"])
    assert table.index[1] == "spread"
    assert table.loc["approximation", ["dial", "to"]].tolist() == ["rank", 3.0]
    assert table.loc["covariance", ["dial", "to"]].tolist() == ["student_sharpness", 1.0]
    variance = table.loc["variance"]
    assert (variance["dial"], variance["to"]) == ("inverse_temperature", 16.0)
    assert not variance["lowers_bound"]  # the term falls, the bound rises


def test_a_term_that_no_turn_lowers_is_said_to_be_so():
    frame = pd.DataFrame(
        {
            "dial": ["rank", "rank"], "value": [1.0, 2.0], "is_base": [False, True], "bias": [2.0, 1.0],
            "variance": [1.0, 1.0], "approximation": [3.0, 0.5], "covariance": 0.0, "spread": [0.5, 1.0],
            "corrected_bound": [6.5, 3.5],
        }
    )  # fmt: skip
    table = checklist_table(frame).set_index("term")
    assert table.loc[["total", "bias", "variance", "approximation", "covariance"], "dial"].eq("none").all()
    assert table.loc["bias", ["from", "to"]].isna().all()
    assert table.loc["spread", ["dial", "from", "to", "reduction", "bound_after"]].tolist() == [
        "rank", 2.0, 1.0, 0.5, 6.5,
    ]  # fmt: skip


def test_a_seed_is_its_tables():
    tiny = {**QUICK, "inverse_temperatures": 4.0, "nums_examples": 32, "num_sets": 3, "label_noises": 0.5}
    first, again = (decomposition(DecompositionOptions(**tiny)) for _ in range(2))
    for one, other in zip(first, again, strict=True):
        pd.testing.assert_frame_equal(one, other)
    different = decomposition(DecompositionOptions(**tiny, seed=5))
    assert not first.sweeps.equals(different.sweeps)


def test_more_values_of_a_dial_leave_the_others_as_they_are():
    tiny = {**QUICK, "inverse_temperatures": 4.0, "label_noises": 0.5, "ranks": 2, "prior_precisions": 1.0}
    few, many = (
        decomposition(DecompositionOptions(**tiny, nums_examples=values)).sweeps.query("dial == 'num_examples'")
        for values in ((16, 32), (16, 32, 500))
    )
    columns = [name for name in COLUMNS if name != "best"]
    pd.testing.assert_frame_equal(few[columns], many[columns].head(2))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"rank": 4}, "rank is 4"),
        ({"ranks": [1, 5]}, "ranks is 5"),
        ({"true_rank": 9}, "true_rank is 9"),
        ({"num_fit": 20}, "raise it to 24"),
        ({"prior_precision": 0.0}, "greater than 0"),
        ({"beta": 1.0}, "Extra inputs"),
    ],
)
def test_options_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        DecompositionOptions(**given)


@pytest.mark.slow
def test_the_default_section_agrees_with_the_claims():
    full = decomposition(DecompositionOptions())
    assert len(full.audit) == 400
    assert not full.audit[["corrected_violated", "tight_violated"]].any(axis=None)
    assert full.audit["literal_violated"].sum() > 80
    assert full.audit["chain_rule_error"].max() < 1e-10
    assert full.checklist["dial"].iloc[0] == "inverse_temperature"
