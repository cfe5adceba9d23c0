import numpy as np
import pandas as pd
import pytest

from kd_uncertainty import threads
from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS
from kd_uncertainty.uncertainty import arms as shared
from kd_uncertainty.uncertainty.arms import MAX_BLOCKS, VarianceComponents, num_gram_blocks
from kd_uncertainty.uncertainty.budget import fit_curve
from kd_uncertainty.uncertainty.components import COMPONENTS, anova_components
from kd_uncertainty.uncertainty.decomposition import entropy_decomposition, variance_decomposition
from kd_uncertainty.uncertainty.jackknife import DECOMPOSITIONS
from kd_uncertainty.uncertainty.tables import ArmPredictions, from_predictions, response_budget, variance_components

from .worlds import crossing, curve_world, softmax

SHAPE = (5, 3, 2)
GRID = (1, 2, 4, 8)
DEVIATIONS = (1.0, 0.4, 0.2, 0.2, 0.1, 0.1, 0.2)


def keys_of(arm, k, teacher="ensemble", target="label"):
    values = (teacher, target, k, "average", 1.0, 1.0, "constant")
    return {"arm": arm, **dict(zip(ARM_KEYS, values, strict=True))}


def arms_of(seed=0, shape=SHAPE, teacher="ensemble", first=0):
    worlds = curve_world(np.random.default_rng(seed), shape, GRID, DEVIATIONS, num_examples=40, num_classes=3)
    for number, (k, values) in enumerate(zip(GRID, worlds, strict=True)):
        p = softmax(values)
        splits = {"train": p[:, :20], "validation": p[:, 20:]}
        yield ArmPredictions(keys_of(first + number, k, teacher), crossing(shape), splits)


@pytest.fixture(scope="module")
def components():
    return variance_components(arms_of())


def test_one_row_an_arm_split_and_component(components):
    table = components.table
    assert list(table) == ["arm", *ARM_KEYS, "split", "component", "estimate", "lower", "upper"]
    assert len(table) == len(GRID) * 2 * 11
    assert set(table["component"]) == {*DECOMPOSITIONS, *COMPONENTS}
    assert not table.duplicated(["arm", "split", "component"]).any()
    assert (table["lower"] <= table["estimate"]).all()
    assert (table["estimate"] <= table["upper"]).all()


def test_estimates_equal_the_array_functions(components):
    for arm in arms_of():
        for split, p in arm.probabilities.items():
            table = components.table
            chosen = table[(table["arm"] == arm.keys["arm"]) & (table["split"] == split)].set_index("component")
            parts = [part.mean() for part in (*variance_decomposition(p), *entropy_decomposition(p))]
            np.testing.assert_allclose(chosen.loc[list(DECOMPOSITIONS), "estimate"], parts, atol=1e-13)
            expected = anova_components(p, arm.seeds)
            np.testing.assert_allclose(
                chosen.loc[list(COMPONENTS), "estimate"], [expected[name] for name in COMPONENTS], atol=1e-13
            )


def test_identities_hold_in_the_table(components):
    wide = components.table.pivot_table(index=["arm", "split"], columns="component", values="estimate")
    np.testing.assert_allclose(wide["total"], wide["intra"] + wide["inter"], atol=1e-12)
    np.testing.assert_allclose(wide["total_entropy"], wide["intra_entropy"] + wide["inter_entropy"], atol=1e-12)
    parts = wide["response"] + wide["initialisation"] + wide["order"] + wide["residual"]
    np.testing.assert_allclose(wide["inter_unbiased"], parts, atol=1e-12)


def test_float32_probabilities_give_the_same_to_their_precision(components):
    single = (
        arm._replace(probabilities={split: p.astype(np.float32) for split, p in arm.probabilities.items()})
        for arm in arms_of()
    )
    found = variance_components(single).table
    np.testing.assert_allclose(found["estimate"], components.table["estimate"], rtol=1e-4, atol=1e-7)


def test_equal_seeds_equal_intervals_whatever_else_is_analysed(components):
    alone = [arm for arm in arms_of() if arm.keys["num_responses"] == 4]
    found = variance_components(alone)
    expected = components.table[components.table["num_responses"] == 4].reset_index(drop=True)
    pd.testing.assert_frame_equal(found.table, expected)
    other = variance_components(alone, seed=1).table
    assert not np.allclose(other["lower"], expected["lower"], rtol=1e-6)
    np.testing.assert_array_equal(other["estimate"], expected["estimate"])


def test_wider_with_more_confidence(components):
    found = variance_components(arms_of(), confidence=0.5).table
    width = components.table["upper"] - components.table["lower"]
    assert (found["upper"] - found["lower"] < width).all()


def test_replicates_of_arms_with_shared_levels_are_joint(components):
    """Nested draws make neighbours in k alike: their replicates must correlate, or the slope's interval is wrong."""
    first, second = (components.replicates[arm, "validation", "inter_unbiased"] for arm in (2, 3))
    assert np.corrcoef(np.log(first), np.log(second))[0, 1] > 0.5


def test_large_populations_are_resampled_in_fewer_blocks(components, monkeypatch):
    assert num_gram_blocks(72) == MAX_BLOCKS
    assert num_gram_blocks(1000) < MAX_BLOCKS
    monkeypatch.setattr(shared, "MAX_GRAM_ELEMENTS", 0)
    found = variance_components(arms_of()).table
    np.testing.assert_allclose(found["estimate"], components.table["estimate"], atol=1e-12)


@pytest.mark.parametrize("cores", [1, 2, 5])
def test_the_number_of_cores_changes_no_bit(components, monkeypatch, cores):
    monkeypatch.setattr(threads, "available_cores", lambda: cores)
    found = variance_components(arms_of())
    pd.testing.assert_frame_equal(found.table, components.table, check_exact=True)
    assert list(found.replicates) == list(components.replicates)
    for key, values in components.replicates.items():
        assert np.array_equal(found.replicates[key], values), key


def test_an_error_names_the_arm():
    arm = next(arms_of())
    with pytest.raises(UserError, match=r"arm 0: .*full crossing"):
        variance_components([arm._replace(seeds=arm.seeds[:-1])])
    short = {split: p[:-1] for split, p in arm.probabilities.items()}
    with pytest.raises(UserError, match="arm 0: 29 students in the train"):
        variance_components([arm._replace(probabilities=short)])


def test_the_budget_fits_the_validation_split(components):
    found = response_budget(components, threshold=0.25)
    assert len(found) == 1
    row = found.iloc[0]
    chosen = components.table.query("split == 'validation' and component == 'inter_unbiased'")
    curve = fit_curve(chosen["num_responses"].to_numpy(), chosen["estimate"].to_numpy())
    assert row["response_variance"] == pytest.approx(float(curve.response_variance))
    assert row["floor"] == pytest.approx(float(curve.floor))
    k = row["recommended_num_responses"]
    share = [row["response_variance"] / n / (row["response_variance"] / n + row["floor"]) for n in (k, k - 1)]
    assert share[0] < 0.25
    assert k == 1 or share[1] >= 0.25
    assert row["extrapolated"] == (k > 8)
    assert (row["threshold"], row["largest_measured"], row["num_response_seeds"]) == (0.25, 8, 5)
    assert found["recommended_num_responses"].dtype == "Int64"
    for name in ("response_variance", "floor", "slope", "recommended_num_responses"):
        assert row[f"{name}_lower"] <= row[name] <= row[f"{name}_upper"]


def test_one_row_a_curve_and_none_where_nothing_can_be_fitted():
    arms = [
        *arms_of(teacher="dropout"),
        *arms_of(1, teacher="ensemble", first=10),
        next(arms_of(2, teacher="single_k", first=20)),
        *arms_of(3, shape=(1, 3, 2), teacher="one_response_seed", first=30),
    ]
    found = response_budget(variance_components(arms, num_bootstrap=50), threshold=0.25)
    assert found["teacher"].tolist() == ["dropout", "ensemble"]


def exact_components(a, b):
    """A table whose curve is a/k + b, without noise."""
    rows = [
        {**keys_of(arm, k), "split": "validation", "component": name, "estimate": value, "lower": value, "upper": value}
        for arm, k in enumerate(GRID)
        for name, value in (("inter_unbiased", a / k + b), ("response", a / k))
    ]
    replicates = {(row["arm"], "validation", row["component"]): np.full(20, row["estimate"]) for row in rows}
    return VarianceComponents(pd.DataFrame(rows), replicates, dict.fromkeys(range(len(GRID)), 8))


@pytest.mark.parametrize(
    ("a", "b", "recommended", "extrapolated"),
    [(0.1, 0.07, 5, False), (0.1, 0.01, 31, True), (0.0, 0.1, 1, False), (0.1, 0.0, None, True)],
)
def test_recommendations_of_exact_curves(a, b, recommended, extrapolated):
    row = response_budget(exact_components(a, b), threshold=0.25).iloc[0]
    if recommended is None:
        assert row["recommended_num_responses"] is pd.NA
        assert row["recommended_num_responses_upper"] is pd.NA
    else:
        assert abs(row["recommended_num_responses"] - recommended) <= (recommended == 31)  # 3 a / b = 30: a boundary
    assert row["extrapolated"] == extrapolated
    if a > 0:
        assert row["slope"] == pytest.approx(-1.0)


def test_an_empty_budget_keeps_its_columns_and_types():
    found = response_budget(variance_components([]), threshold=0.25)
    full = response_budget(exact_components(0.1, 0.1), threshold=0.25)
    assert len(found) == 0
    assert list(found) == list(full)
    assert found["recommended_num_responses"].dtype == "Int64"


def predictions_and_plan(shuffle=True):
    plan, predictions = [], []
    student = 0
    for arm in arms_of():
        for row, seeds in enumerate(arm.seeds):
            plan.append({"student": student, **arm.keys, **dict(zip(SEED_COLUMNS, seeds, strict=True))})
            for split, offset in (("train", 0), ("validation", 20)):
                for example, p in enumerate(arm.probabilities[split][row]):
                    predictions.append((student, offset + example, split, (np.log(p) + 3).tolist()))
            student += 1
    frame = pd.DataFrame(predictions, columns=["student", "example_id", "split", "logits"])
    return frame.sample(frac=1, random_state=0) if shuffle else frame, pd.DataFrame(plan)


def test_predictions_in_any_order_give_the_arrays_back(components):
    predictions, plan = predictions_and_plan()
    for found, expected in zip(from_predictions(predictions, plan), arms_of(), strict=True):
        assert found.keys == expected.keys
        np.testing.assert_array_equal(found.seeds, expected.seeds)
        for split in ("train", "validation"):
            np.testing.assert_allclose(found.probabilities[split], expected.probabilities[split], atol=1e-6)
    table = variance_components(from_predictions(predictions, plan, ["train", "validation"])).table
    # Logits are read in float32.
    np.testing.assert_allclose(table["estimate"], components.table["estimate"], rtol=1e-4, atol=1e-7)
    np.testing.assert_allclose(table["upper"], components.table["upper"], rtol=1e-3, atol=1e-6)


def test_predictions_of_one_split_only():
    predictions, plan = predictions_and_plan()
    assert [list(arm.probabilities) for arm in from_predictions(predictions, plan, ["validation"])] == [
        ["validation"]
    ] * 4


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p, plan: (p.drop(columns="logits"), plan), "predictions table lacks the column 'logits'"),
        (lambda p, plan: (p, plan.drop(columns="order_seed")), "plan table lacks the column 'order_seed'"),
        (lambda p, plan: (p[p["student"] != 7], plan), "student 7 of the plan has no predictions"),
        (lambda p, plan: (p.drop(index=3), plan), "different train examples"),
        (
            lambda p, plan: (p.assign(example_id=p["example_id"].mask(p.index == 3, 900)), plan),
            "different train examples",
        ),
        (lambda p, plan: (p[p["split"] == "train"], plan), "no validation examples"),
    ],
)
def test_incomplete_predictions_are_named(spoil, message):
    predictions, plan = spoil(*predictions_and_plan(shuffle=False))
    with pytest.raises(UserError, match=message):
        list(from_predictions(predictions, plan, ["train", "validation"]))


def test_logits_of_different_lengths_are_named():
    predictions, plan = predictions_and_plan(shuffle=False)
    predictions.at[5, "logits"] = [1.0]  # noqa: PD008 - a list is one value here
    with pytest.raises(UserError, match="differ in length"):
        list(from_predictions(predictions, plan))
