import itertools

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty import threads
from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import SEED_COLUMNS, VALUE_ARM_KEYS
from kd_uncertainty.uncertainty import anova_components, response_budget, value_components
from kd_uncertainty.uncertainty.components import COMPONENTS, crossed_design
from kd_uncertainty.uncertainty.predictions import own_plan
from kd_uncertainty.uncertainty.resampling import Multipliers
from kd_uncertainty.uncertainty.values import SplitValues, from_values, sample_values

from .test_components import mean_square_components
from .worlds import crossing, curve_world, effects_world, true_components

SHAPE = (5, 3, 2)
GRID = (1, 2, 4, 8)
DEVIATIONS = (1.0, 0.4, 0.2, 0.2, 0.1, 0.1, 0.2)


def world(seed=0, grid=GRID, shape=SHAPE, num_examples=40):
    """Values (arms, students, examples)."""
    rng = np.random.default_rng(seed)
    worlds = curve_world(rng, shape, grid, DEVIATIONS, num_examples=num_examples, num_classes=1)
    return np.stack(worlds)[..., 0] + 3.0 * rng.standard_normal(num_examples)


def tables_of(values, grid=GRID, shape=SHAPE):
    """Predictions, plan and residual variances; the first half of the examples is "train", the rest "validation"."""
    num_arms, num_students, num_examples = values.shape
    seeds = pd.DataFrame(crossing(shape), columns=list(SEED_COLUMNS))
    labels = ("linear", "teacher", "noise", 0.1, "average", 1.0)
    fixed = dict(zip([key for key in VALUE_ARM_KEYS if key != "num_responses"], labels, strict=True))
    plan = pd.concat([seeds.assign(arm=arm, num_responses=k, **fixed) for arm, k in enumerate(grid)])
    plan.insert(0, "student", np.arange(num_arms * num_students))
    example_id = np.tile(np.arange(num_examples), len(plan))
    predictions = pd.DataFrame(
        {
            "student": np.repeat(plan["student"].to_numpy(), num_examples),
            "example_id": example_id,
            "split": np.where(example_id < num_examples // 2, "train", "validation"),
            "prediction": values.ravel(),
        }
    )
    residual = plan[["student"]].assign(residual_variance=np.random.default_rng(1).gamma(4.0, 0.5, len(plan)))
    return predictions, plan.reset_index(drop=True), residual


@pytest.fixture(scope="module")
def tables():
    return tables_of(world())


@pytest.fixture(scope="module")
def components(tables):
    return value_components(*tables)


def wide(found, column="estimate"):
    return found.table.pivot_table(index=["arm", "split"], columns="component", values=column, sort=False)


def test_one_row_an_arm_split_and_component(components):
    table = components.table
    assert list(table) == ["arm", *VALUE_ARM_KEYS, "split", "component", "estimate", "lower", "upper"]
    assert len(table) == len(GRID) * 2 * 8
    assert set(table["component"]) == {"total", "intra", "inter", *COMPONENTS}
    assert not table.duplicated(["arm", "split", "component"]).any()
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()


def test_without_residual_variances_total_and_intra_are_left_out_and_nothing_else_changes(tables, components):
    found = value_components(*tables[:2])
    kept = components.table[~components.table["component"].isin(["total", "intra"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.table, kept, rtol=1e-10, atol=1e-14)


def test_components_are_the_mean_squares_solved_for_the_random_model(tables, components):
    values = world()
    estimates = wide(components)
    for arm, (split, examples) in itertools.product(
        range(len(GRID)), [("train", range(20)), ("validation", range(20, 40))]
    ):
        by_example = [mean_square_components(values[arm, :, e].reshape(SHAPE)) for e in examples]
        for name in COMPONENTS:
            expected = np.mean([one[name] for one in by_example])
            assert estimates.loc[(arm, split), name] == pytest.approx(expected, abs=1e-10)


def test_total_is_the_law_of_total_variance_and_the_components_add_up(tables, components):
    values, (_, _, residual) = world(), tables
    estimates = wide(components)
    own = residual["residual_variance"].to_numpy().reshape(len(GRID), -1)
    for arm in range(len(GRID)):
        inter = values[arm, :, 20:].var(axis=0).mean()
        row = estimates.loc[(arm, "validation")]
        # E[y^2] - (E y)^2 of the mixture of the students' own distributions, on its own.
        second = (np.square(values[arm, :, 20:]) + own[arm, :, None]).mean(axis=0)
        total = (second - np.square(values[arm, :, 20:].mean(axis=0))).mean()
        assert [row["total"], row["intra"], row["inter"]] == pytest.approx([total, own[arm].mean(), inter], abs=1e-10)
    np.testing.assert_allclose(estimates["total"], estimates["intra"] + estimates["inter"], atol=1e-10)
    parts = estimates["response"] + estimates["initialisation"] + estimates["order"] + estimates["residual"]
    np.testing.assert_allclose(estimates["inter_unbiased"], parts, atol=1e-10)


def test_a_common_shift_changes_nothing(tables, components):
    predictions, plan, residual = tables
    shifted = predictions.assign(prediction=predictions["prediction"] + 50.0 * predictions["example_id"] - 700.0)
    found = value_components(shifted, plan, residual).table
    for column in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(found[column], components.table[column], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("factor", [1e-6, 77.0, -3.0])
def test_another_unit_scales_everything_by_its_square(tables, components, factor):
    predictions, plan, residual = tables
    found = value_components(
        predictions.assign(prediction=factor * predictions["prediction"]),
        plan,
        residual.assign(residual_variance=factor**2 * residual["residual_variance"]),
    ).table
    for column in ("estimate", "lower", "upper"):
        np.testing.assert_allclose(found[column] / factor**2, components.table[column], rtol=1e-9, atol=1e-13)


def test_estimates_are_unbiased_in_a_world_of_known_components():
    rng = np.random.default_rng(2)
    design = crossed_design(crossing(SHAPE))
    found = []
    for _ in range(300):
        values = effects_world(rng, SHAPE, DEVIATIONS, rank=3, num_examples=10, num_classes=1)[..., 0]
        found.append(sample_values(SplitValues(values), "test", design, Multipliers(2, 0)).estimates[1:])
    error = np.std(found, axis=0) / np.sqrt(len(found))
    assert (np.abs(np.mean(found, axis=0) - true_components(DEVIATIONS, num_classes=1)) < 4 * error).all()


def test_rows_in_any_order_and_any_number_of_cores_give_the_same_bits(tables, components, monkeypatch):
    predictions, plan, residual = tables
    monkeypatch.setattr(threads, "available_cores", lambda: 3)
    shuffled = [table.sample(frac=1, random_state=seed) for seed, table in enumerate((predictions, residual))]
    found = value_components(shuffled[0], plan, shuffled[1])
    pd.testing.assert_frame_equal(found.table, components.table, check_exact=True)
    for key, values in components.replicates.items():
        assert np.array_equal(found.replicates[key], values), key


def test_another_seed_moves_the_bounds_alone(tables, components):
    found = value_components(*tables, seed=1).table
    np.testing.assert_array_equal(found["estimate"], components.table["estimate"])
    assert not np.allclose(found["lower"], components.table["lower"], rtol=1e-6)
    narrow = value_components(*tables, confidence=0.5).table
    assert (narrow["upper"] - narrow["lower"] < components.table["upper"] - components.table["lower"]).all()


def test_residual_variances_may_differ_by_split(tables):
    predictions, plan, residual = tables
    by_split = pd.concat(
        [residual.assign(split="validation"), residual.assign(split="train", residual_variance=2.0)], ignore_index=True
    )
    estimates = wide(value_components(predictions, plan, by_split))
    assert estimates.loc[(0, "train"), "intra"] == pytest.approx(2.0)
    assert estimates.loc[(0, "validation"), "intra"] == pytest.approx(residual["residual_variance"][:30].mean())


def test_the_budget_has_the_keys_of_regression_curves(components):
    found = response_budget(components, threshold=0.25)
    keys = ["model", "teacher", "target", "noise", "weighting", "mixing"]
    assert list(found)[:7] == [*keys, "split"]
    assert len(found) == 1
    row = found.iloc[0]
    assert row["noise"] == 0.1
    assert row["response_variance_lower"] <= row["response_variance"] <= row["response_variance_upper"]
    assert row["largest_measured"] == 8


def test_students_without_common_seeds_have_the_sample_variance():
    rng = np.random.default_rng(3)
    plan = pd.DataFrame({"student": range(12), "num_responses": np.repeat([1, 4], 6)})
    predictions = pd.DataFrame(
        {"student": np.repeat(range(12), 5), "example_id": np.tile(range(5), 12), "split": "test"}
    ).assign(prediction=rng.standard_normal(60))
    complete, keys = own_plan(plan, VALUE_ARM_KEYS)
    assert keys == ("num_responses",)
    found = value_components(predictions, complete, arm_keys=keys)
    values = predictions["prediction"].to_numpy().reshape(2, 6, 5)
    np.testing.assert_allclose(wide(found)["inter_unbiased"], values.var(axis=1, ddof=1).mean(axis=1), atol=1e-12)
    assert found.num_response_seeds == {0: 6, 1: 6}


def test_one_seed_column_of_a_plan_is_kept_and_the_missing_ones_are_shared():
    plan = pd.DataFrame({"student": range(4), "num_responses": 1, "initialisation_seed": [7, 8, 7, 8], "arm": 3})
    complete, _ = own_plan(plan, VALUE_ARM_KEYS)
    assert complete["initialisation_seed"].tolist() == [7, 8, 7, 8]
    assert (complete[["response_seed", "order_seed"]] == 0).all(axis=None)
    assert (complete["arm"] == 3).all()
    with pytest.raises(UserError, match="plan table lacks the column 'num_responses'"):
        own_plan(plan.drop(columns="num_responses"), VALUE_ARM_KEYS)


def _without(table, column):
    return table.drop(columns=column)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p, plan, r: (_without(p, "prediction"), plan, r), "predictions table lacks the column 'prediction'"),
        (lambda p, plan, r: (_without(p, "split"), plan, r), "predictions table lacks the column 'split'"),
        (lambda p, plan, r: (p, _without(plan, "noise"), r), "plan table lacks the column 'noise'"),
        (lambda p, plan, r: (p[:0], plan, r), "empty"),
        (
            lambda p, plan, r: (p.assign(student="s"), plan, r),
            "column 'student' of the predictions table must hold whole",
        ),
        (lambda p, plan, r: (p, plan.assign(student="s"), r), "column 'student' of the plan table must hold whole"),
        (
            lambda p, plan, r: (p.assign(prediction="high"), plan, r),
            "'prediction' .* must hold one number in every row",
        ),
        (lambda p, plan, r: (p.drop(index=3), plan, r), "different train examples"),
        (lambda p, plan, r: (p, plan.drop(index=3), r), r"arm 0: .*full crossing"),
        (lambda p, plan, r: (p.assign(prediction=np.inf), plan, r), "arm 0: train predictions are not all finite"),
        (lambda p, plan, r: (p, plan, _without(r, "student")), "residual variances lacks the column 'student'"),
        (lambda p, plan, r: (p, plan, r[1:]), "student 0 of the plan has no residual variance for the train split"),
        (lambda p, plan, r: (p, plan, r.assign(residual_variance=np.nan)), "arm 0: residual variances of the train"),
    ],
)
def test_what_is_wrong_is_named(tables, spoil, message):
    with pytest.raises(UserError, match=message):
        value_components(*spoil(*tables))


def test_splits_can_be_chosen(tables):
    assert [list(arm.splits) for arm in from_values(*tables, splits=["validation"])] == [["validation"]] * len(GRID)


def test_single_arms_equal_the_array_function(tables, components):
    values = world()[2][:, 20:, None]
    expected = anova_components(values, crossing(SHAPE))
    found = wide(components).loc[(2, "validation")]
    assert {name: found[name] for name in COMPONENTS} == pytest.approx(expected, abs=1e-12)
