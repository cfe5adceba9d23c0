"""The plan against its definition, row by row."""

from itertools import product

import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS

from .worlds import block, crossing

LABEL = block("label", num_responses=(1, 4), mixing=(1.0, 0.5))
POSTERIOR = block("posterior", teachers=("b",), temperature=(1.0, 2.0))


def test_columns_and_types_are_the_contracts():
    plan = make_plan(crossing(LABEL), {"a": 8})
    assert list(plan.columns) == ["student", "arm", *ARM_KEYS, *SEED_COLUMNS]
    assert all(plan[name].dtype == "int64" for name in ("student", "arm", "num_responses", *SEED_COLUMNS))
    assert all(plan[name].dtype == "float64" for name in ("mixing", "temperature"))


def test_every_row_is_the_product_in_declared_order():
    plan = make_plan(crossing(LABEL, POSTERIOR, responses=3, initialisations=2, orders=4), {"a": 8, "b": 8})
    arms = [(t, "label", k, "average", m, 1.0, "constant") for t, k, m in product("ab", (1, 4), (1.0, 0.5))]
    arms += [("b", "posterior", 1, "average", 1.0, t, "constant") for t in (1.0, 2.0)]
    names = {"response": 3, "initialisation": 2, "order": 4}
    seeds = list(product(*([derive_seed(3, name, i) for i in range(count)] for name, count in names.items())))
    expected = [
        (number * len(seeds) + i, number, *arm, *seed)
        for number, arm in enumerate(arms)
        for i, seed in enumerate(seeds)
    ]
    assert list(plan.itertuples(index=False, name=None)) == expected


def test_schedules_are_the_last_dial_and_their_arms_share_all_seeds():
    schedules = ("constant", "to_teacher@0.5", "to_labels@0.25")
    plan = make_plan(crossing(block("exact", mixing=(1.0, 0.5), schedule=schedules)), {"a": 8})
    arms = plan.drop_duplicates("arm")
    assert list(zip(arms["mixing"], arms["schedule"], strict=True)) == list(product((1.0, 0.5), schedules))
    assert len({tuple(map(tuple, arm[list(SEED_COLUMNS)].to_numpy())) for _, arm in plan.groupby("arm")}) == 1


def test_arms_without_response_randomness_have_one_response_level_of_their_own():
    plan = make_plan(crossing(block("one_hot"), block("exact"), LABEL, responses=5), {"a": 8})
    quiet = plan[plan["target"].isin(["one_hot", "exact"])]
    assert quiet.groupby("arm").size().tolist() == [4, 4]
    assert len(set(quiet["response_seed"])) == 1
    assert not set(quiet["response_seed"]) & set(plan.loc[plan["target"] == "label", "response_seed"])
    assert plan.loc[plan["target"] == "one_hot", "teacher"].unique().tolist() == ["none"]


def test_levels_are_common_to_all_arms_and_crossed_within_each():
    plan = make_plan(crossing(LABEL, POSTERIOR), {"a": 8, "b": 8})
    for name in SEED_COLUMNS:
        assert len({tuple(sorted(set(arm[name]))) for _, arm in plan.groupby("arm")}) == 1
    assert (plan.groupby(["arm", *SEED_COLUMNS]).size() == 1).all()
    assert plan.groupby("arm").size().unique().tolist() == [3 * 2 * 2]


def test_factors_are_seeded_independently():
    """More levels of one factor leave the others, and its own first levels, as they were."""
    small = make_plan(crossing(LABEL, responses=2), {"a": 8})
    large = make_plan(crossing(LABEL, responses=4), {"a": 8})
    for name in ("initialisation_seed", "order_seed"):
        assert set(small[name]) == set(large[name])
    assert list(dict.fromkeys(large["response_seed"]))[:2] == list(dict.fromkeys(small["response_seed"]))
    assert len(set(large[list(SEED_COLUMNS)].to_numpy().ravel())) == 4 + 2 + 2
    other = make_plan(crossing(LABEL, seed=4), {"a": 8})
    assert not set(other[list(SEED_COLUMNS)].to_numpy().ravel()) & set(large[list(SEED_COLUMNS)].to_numpy().ravel())


def test_survives_a_csv_unchanged(tmp_path):
    plan = make_plan(crossing(LABEL, POSTERIOR), {"a": 8, "b": 8})
    plan.to_csv(tmp_path / "plan.csv", index=False)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "plan.csv"), plan, check_dtype=False)


def test_an_unknown_teacher_is_named_with_its_place_and_the_known_ones():
    with pytest.raises(UserError, match=r"students.arms\[1\].teachers: there is no teacher 'c'; known: a, b"):
        make_plan(crossing(block("exact"), block("label", teachers=("a", "c"))), {"a": 8, "b": 8})


@pytest.mark.parametrize("second", [LABEL, block("label", num_responses=(4,)), block("label", teachers=("a",))])
def test_an_arm_declared_twice_is_an_error(second):
    with pytest.raises(UserError, match=r"teacher: a, target: label, num_responses: [14].* declared twice"):
        make_plan(crossing(LABEL, second), {"a": 8})


def test_an_arm_that_names_no_teachers_takes_all_and_a_posterior_one_those_with_a_posterior():
    plan = make_plan(crossing(block("label"), block("posterior")), {"point": 1, "spread": 8})
    arms = plan.groupby("target")["teacher"].unique()
    assert list(arms["label"]) == ["point", "spread"]
    assert list(arms["posterior"]) == ["spread"]
