import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from kd_uncertainty import calibration
from kd_uncertainty.propagation import best_student, student_tables, teacher_tables
from kd_uncertainty.soft_labels import SoftLabels
from kd_uncertainty.uncertainty.predictions import ArmLogits, SplitLogits

GENERATOR = np.random.default_rng(1)
IDS = np.arange(40)
TARGETS = GENERATOR.integers(0, 3, 40)
EXAMPLES = pd.DataFrame({"example_id": IDS, "target": TARGETS, "split": np.where(IDS % 2, "validation", "test")})
SOFT = SoftLabels(IDS, {"t": GENERATOR.normal(size=(40, 5, 3)).astype(np.float32)})
KEYS = {"arm": 4, "teacher": "t", "target": "label", "num_responses": 2} | {
    "weighting": "average",
    "mixing": 1.0,
    "temperature": 1.0,
    "schedule": "constant",
}


def test_teachers_are_judged_by_the_mean_of_their_cached_probabilities():
    metrics, bins = teacher_tables(SOFT, EXAMPLES, bins=5, confidence=0.95, num_bootstrap=50, seed=0)
    chosen = IDS % 2 == 1
    probabilities = softmax(SOFT.logits["t"].astype(float), axis=-1).mean(axis=1)[chosen]
    truth = TARGETS[chosen]
    found = metrics[metrics["split"] == "validation"].set_index("metric")
    nll = -np.log(probabilities[np.arange(len(truth)), truth]).mean()
    assert found.loc["nll", "estimate"] == pytest.approx(nll)
    assert found.loc["accuracy", "estimate"] == pytest.approx((probabilities.argmax(1) == truth).mean())
    assert (found["lower"] <= found["estimate"]).all()
    assert (found["estimate"] <= found["upper"]).all()
    assert bins.groupby("split")["count"].sum().to_dict() == {"test": 20, "validation": 20}


def arm(keys):
    logits = GENERATOR.normal(size=(6, 20, 3)).astype(np.float32)
    plan = pd.DataFrame({"student": range(10, 16)})
    return ArmLogits(keys, plan, {"validation": SplitLogits(IDS[IDS % 2 == 1], logits)})


def test_students_are_compared_with_their_teacher_on_the_same_examples():
    one = arm(KEYS)
    metrics, bins = student_tables([one], SOFT, EXAMPLES, bins=5)
    chosen = IDS % 2 == 1
    teacher = softmax(SOFT.logits["t"].astype(float), axis=-1).mean(axis=1)[chosen]
    student = softmax(one.splits["validation"].logits[3].astype(float), axis=-1)
    row = metrics[metrics["student"] == 13].iloc[0]
    assert row["agreement"] == pytest.approx((teacher.argmax(1) == student.argmax(1)).mean())
    assert row["kl_to_teacher"] == pytest.approx((teacher * np.log(teacher / student)).sum(1).mean())
    assert row["num_responses"] == 2
    assert bins["count"].sum() == 6 * 20
    assert set(bins["role"]) == {"students"}


def test_rows_are_in_the_order_of_arms_splits_and_students():
    arms = [arm(KEYS | {"arm": number}) for number in (4, 2)]
    arms[0].splits["test"] = SplitLogits(IDS[IDS % 2 == 0], arms[0].splits["validation"].logits)
    metrics, bins = student_tables(arms, SOFT, EXAMPLES, bins=5)
    assert list(metrics) == ["student", *KEYS, "split", *calibration.METRICS, "agreement", "kl_to_teacher"]
    expected = [(a, s, 10 + i) for a, s in ((4, "validation"), (4, "test"), (2, "validation")) for i in range(6)]
    assert list(metrics[["arm", "split", "student"]].itertuples(index=False, name=None)) == expected
    assert metrics.index.tolist() == list(range(18))
    assert metrics["teacher"].dtype == pd.Series(["t"]).dtype
    assert bins["split"].tolist() == ["validation"] * 5 + ["test"] * 5 + ["validation"] * 5
    alone, _ = student_tables(arms[1:], SOFT, EXAMPLES, bins=5)
    pd.testing.assert_frame_equal(metrics.tail(6).reset_index(drop=True), alone)


def test_students_without_a_teacher_have_no_fidelity():
    metrics, _ = student_tables([arm(KEYS | {"teacher": "none", "target": "one_hot"})], SOFT, EXAMPLES, bins=5)
    assert metrics[["agreement", "kl_to_teacher"]].isna().all(axis=None)
    assert metrics["nll"].notna().all()


def test_the_best_student_is_best_on_validation_whatever_the_test_split_says():
    metrics = pd.DataFrame(
        {"student": [0, 0, 1, 1], "split": ["validation", "test"] * 2, "nll": [0.5, 0.1, 0.4, 0.9], "accuracy": 0.5}
    )
    assert best_student(metrics)["student"] == 1
