"""Deviations from the tables of a classification study."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from kd_uncertainty.deviations.statistics import deviation_statistics, log_odds
from kd_uncertainty.deviations.study import StudyDeviationsOptions, study_deviations
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels import SoftLabels
from kd_uncertainty.uncertainty.metrics import mean_interval

EXAMPLES, CLASSES = 60, 3
IDS = 5 * np.arange(EXAMPLES)
SPLIT = np.where(np.arange(EXAMPLES) % 3 == 0, "test", "train")
OPTIONS = StudyDeviationsOptions(num_bins=4, num_bootstrap=50)
ARMS = (("none", "one_hot", 1, 1), ("t", "label", 1, 2), ("t", "label", 4, 2), ("u", "exact", 1, 1))


def make_plan():
    rows = [
        {"arm": arm, "teacher": teacher, "target": target, "num_responses": count, "weighting": "average"}
        | {"mixing": 1.0, "temperature": 1.0, "schedule": "constant"}
        | {"response_seed": r, "initialisation_seed": i, "order_seed": o}
        for arm, (teacher, target, count, responses) in enumerate(ARMS)
        for r in range(responses)
        for i in range(2)
        for o in range(2)
    ]
    return pd.DataFrame(rows).rename_axis("student").reset_index()


@pytest.fixture
def study():
    generator = np.random.default_rng(0)
    plan = make_plan()
    logits = (2.0 * generator.standard_normal((len(plan), EXAMPLES, CLASSES))).astype(np.float32)
    predictions = pd.DataFrame(
        {
            "student": np.repeat(plan["student"].to_numpy(), EXAMPLES),
            "example_id": np.tile(IDS, len(plan)),
            "split": np.tile(SPLIT, len(plan)),
            "logits": list(logits.reshape(-1, CLASSES)),
        }
    )
    soft = SoftLabels(
        IDS, {name: generator.standard_normal((EXAMPLES, 5, CLASSES)).astype(np.float32) for name in ("t", "u")}
    )
    target = generator.integers(0, CLASSES, EXAMPLES)
    examples = pd.DataFrame({"example_id": IDS, "split": SPLIT, "target": target})
    return logits, predictions, plan, soft, examples


def test_every_arm_with_a_teacher_stands_beside_the_arm_of_one_hot_labels(study):
    logits, predictions, plan, soft, examples = study
    found = study_deviations(predictions, plan, soft, examples, OPTIONS).deviations
    assert found["arm"].unique().tolist() == [1, 2, 3]
    train = SPLIT == "train"
    teacher = np.log(softmax(soft.logits["t"].astype(np.float64), axis=-1).mean(axis=1))[train]
    rows = found[(found["arm"] == 2) & (found["split"] == "train") & (found["statistic"] == "slope")].set_index("group")
    figures = {
        name: deviation_statistics(*log_odds(teacher, logits[plan["arm"] == arm][:, train]))["slope"]
        for name, arm in (("student", 2), ("control", 0))
    }
    student, control = figures["student"].reshape(2, 2, 2), figures["control"].reshape(1, 2, 2)
    for name, values in (("student", student), ("control", control), ("difference", student - control)):
        expected = pytest.approx(mean_interval(values, 0.95))
        assert tuple(rows.loc[name, ["estimate", "lower", "upper"]]) == expected
    accuracy = (logits[plan["arm"] == 2][:, train].argmax(-1) == examples["target"].to_numpy()[train]).mean()
    row = found[(found["arm"] == 2) & (found["split"] == "train") & (found["statistic"] == "accuracy")]
    assert row.set_index("group").loc["student", "estimate"] == pytest.approx(accuracy)
    assert rows.loc["student", ["teacher", "target", "num_responses"]].tolist() == ["t", "label", 4]


def test_the_order_of_rows_does_not_matter(study):
    _, predictions, plan, soft, examples = study
    found = study_deviations(predictions, plan, soft, examples, OPTIONS)
    shuffled = predictions.sample(frac=1.0, random_state=0, ignore_index=True)
    again = study_deviations(shuffled, plan, soft, examples.sample(frac=1.0, random_state=1), OPTIONS)
    for one, other in zip(found, again, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_bins_and_gains_are_of_all_arms(study):
    _, predictions, plan, soft, examples = study
    found = study_deviations(predictions, plan, soft, examples, OPTIONS)
    assert found.bins.groupby(["arm", "split", "group"])["bin"].nunique().unique().tolist() == [4]
    assert found.gains["arms"].unique().tolist() == ["all", "t", "u"]
    assert (found.gains.loc[found.gains["arms"] == "all", "num_arms"] == 3).all()


def test_a_plan_without_a_control_or_without_teachers_is_refused(study):
    _, predictions, plan, soft, examples = study
    with pytest.raises(UserError, match=r"add \{target: one_hot\}"):
        study_deviations(predictions, plan[plan["target"] != "one_hot"], soft, examples)
    with pytest.raises(UserError, match="no arm of the plan has a teacher"):
        study_deviations(predictions, plan[plan["target"] == "one_hot"], soft, examples)


def test_a_split_without_deciles_is_left_out(study, caplog):
    _, predictions, plan, soft, examples = study
    few = predictions["example_id"].isin(IDS[:9])
    small = predictions.assign(split=np.where(few, "validation", "train"))
    found = study_deviations(small, plan, soft, examples, OPTIONS)
    assert found.deviations["split"].unique().tolist() == ["train"]
    assert "validation: fewer than 10 examples" in caplog.text
    with pytest.raises(UserError, match="no split has the 10 examples"):
        study_deviations(small[few], plan, soft, examples, OPTIONS)
