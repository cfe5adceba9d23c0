import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kd_uncertainty.errors import UserError
from kd_uncertainty.uncertainty.predictions import logits_matrix, read_arms

GENERATOR = np.random.default_rng(0)
LOGITS = GENERATOR.normal(size=(4, 5, 3)).astype(np.float32)  # students, examples, classes
IDS = np.array([2, 3, 7, 8, 11])
SPLITS = np.array(["train", "test", "train", "test", "train"])


def tables(arrow, shuffled=False):
    plan = pd.DataFrame(
        {
            "student": range(4),
            "arm": [0, 0, 1, 1],
            "teacher": "t",
            "target": "label",
            "num_responses": [1, 1, 2, 2],
            "weighting": "average",
            "mixing": 1.0,
            "temperature": 1.0,
            "schedule": "constant",
            "response_seed": [5, 6, 5, 6],
            "initialisation_seed": 1,
            "order_seed": 1,
        }
    )
    predictions = pd.DataFrame(
        {
            "student": np.repeat(np.arange(4), 5),
            "example_id": np.tile(IDS, 4),
            "split": np.tile(SPLITS, 4),
            "logits": list(LOGITS.reshape(-1, 3)),
        }
    )
    if shuffled:
        predictions = predictions.sample(frac=1.0, random_state=3)
    if arrow:
        predictions = pa.Table.from_pandas(predictions, preserve_index=False).to_pandas(types_mapper=pd.ArrowDtype)
    return predictions, plan


@pytest.mark.parametrize("arrow", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_arms_come_whole_in_the_order_of_the_plan_whatever_the_storage(arrow, shuffled):
    arms = list(read_arms(*tables(arrow, shuffled)))
    assert [arm.keys["arm"] for arm in arms] == [0, 1]
    assert arms[1].keys["num_responses"] == 2
    for number, arm in enumerate(arms):
        students = slice(2 * number, 2 * number + 2)
        np.testing.assert_array_equal(arm.splits["train"].example_ids, [2, 7, 11])
        np.testing.assert_array_equal(arm.splits["train"].logits, LOGITS[students][:, [0, 2, 4]])
        np.testing.assert_array_equal(arm.splits["test"].logits, LOGITS[students][:, [1, 3]])


def test_only_the_wanted_splits_are_read():
    assert set(next(read_arms(*tables(True), splits=["test"])).splits) == {"test"}
    with pytest.raises(UserError, match=r"no validation examples \(splits: (train, test|test, train)\)"):
        next(read_arms(*tables(True), splits=["validation"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda p: p.drop(columns="logits"), "lacks the column 'logits'"),
        (lambda p: p[p["student"] != 3], "student 3 of the plan has no predictions"),
        (lambda p: p[~((p["student"] == 1) & (p["example_id"] == 3))], "different test examples"),
        (lambda p: pd.concat([p, p[p["example_id"] == 3]]), "two predictions of the same test example"),
        (lambda p: p[:0], "empty"),
    ],
)
def test_incomplete_predictions_are_refused(change, words):
    predictions, plan = tables(False)
    with pytest.raises(UserError, match=words):
        list(read_arms(change(predictions), plan))


@pytest.mark.parametrize("arrow", [False, True])
def test_lists_of_different_lengths_are_refused(arrow):
    lists = pd.Series([[1.0, 2.0], [1.0]])
    if arrow:
        lists = lists.astype(pd.ArrowDtype(pa.list_(pa.float64())))
    with pytest.raises(UserError, match="differ in length"):
        logits_matrix(lists)
