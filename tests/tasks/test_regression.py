"""Tables with a real-valued target: splits, units, and what is refused."""

import numpy as np
import pandas as pd
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.bundled import load_bundled
from kd_uncertainty.tasks.options import TableOptions
from kd_uncertainty.tasks.regression import prepare_regression

OPTIONS = TableOptions(target="y")


@pytest.fixture
def table():
    generator = np.random.default_rng(3)
    frame = pd.DataFrame({"a": generator.normal(5, 3, 200), "b": generator.choice(["u", "v"], 200)})
    frame["y"] = 40.0 + 7.0 * frame["a"] + generator.normal(size=200)
    frame.loc[::19, "a"] = np.nan
    return frame


def test_targets_keep_the_units_of_the_source(table):
    examples, task = prepare_regression(table, OPTIONS)
    assert examples["target"].tolist() == table["y"].tolist()
    train = table["y"][(examples["split"] == "train").to_numpy()]
    assert task["target_mean"] == pytest.approx(train.mean())
    assert task["target_std"] == pytest.approx(train.std(ddof=0))
    assert task["num_examples"] == {"train": 120, "validation": 40, "test": 40}


def test_inputs_are_prepared_by_the_training_split_alone(table):
    examples, task = prepare_regression(table, OPTIONS)
    train = (examples["split"] == "train").to_numpy()
    inputs = np.stack(examples["inputs"].to_list())
    assert task["features"] == ["a", "b_u", "b_v"]
    np.testing.assert_allclose(inputs[train].mean(0)[0], 0.0, atol=1e-6)
    np.testing.assert_allclose(inputs[train].std(0)[0], 1.0, atol=1e-6)
    changed = table.copy()
    changed.loc[~train, "a"] += 1000.0
    again = np.stack(prepare_regression(changed, OPTIONS).examples["inputs"].to_list())
    assert np.array_equal(again[train], inputs[train])


def test_the_split_is_a_function_of_the_seed(table):
    first, second, other = (
        prepare_regression(table, OPTIONS.model_copy(update={"seed": seed})).examples["split"] for seed in (1, 1, 2)
    )
    assert first.equals(second)
    assert not first.equals(other)


def test_diabetes_is_bundled_unscaled():
    frame = load_bundled("diabetes")
    assert frame.shape == (442, 11)
    assert frame["target"].between(25, 346).all()
    assert frame["age"].max() > 60  # years, not scikit-learn's scaled columns
    prepare_regression(frame, TableOptions(target="target"))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda t: t.drop(columns="y"), "target column 'y' is missing"),
        (lambda t: t.assign(y="high"), "'y' holds string values, and regression needs numbers"),
        (lambda t: t.assign(y=t["y"] > 0), "'y' holds boolean values, and regression needs numbers"),
        (lambda t: t.assign(y=t["y"].where(t.index > 1)), "'y' is empty in 2 rows"),
        (lambda t: t.assign(y=np.inf), "'y' holds infinite values"),
        (lambda t: t.assign(y=t["y"] * 1e20), r"'y' holds numbers beyond 1e\+15; rescale it"),
        (lambda t: t.assign(y=3.0), r"'y' has a single value \(3\) in the training split"),
        (lambda t: t.assign(y=[[1.0]] * len(t)), "'y' holds lists or other collections, and regression needs numbers"),
        (lambda t: t.head(8), "8 examples are too few"),
        (lambda t: t.assign(a=np.nan), "column 'a' has no value at all"),
    ],
)
def test_what_cannot_be_used_is_named(table, change, complaint):
    with pytest.raises(UserError, match=complaint):
        prepare_regression(change(table), OPTIONS)


def test_few_values_are_asked_about(table, caplog):
    prepare_regression(table.assign(y=np.arange(200) % 3), OPTIONS)
    assert "only 3 different values: are these classes?" in caplog.text
