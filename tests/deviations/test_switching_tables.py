"""Tables of students whose gains are planted."""

import numpy as np
import pandas as pd
import pytest
import torch

from kd_uncertainty.calibration import accuracy, nll
from kd_uncertainty.deviations._shares import gain_share
from kd_uncertainty.deviations._switching_tables import Result, result_rows, teacher_table
from kd_uncertainty.deviations._switching_teachers import Teacher
from kd_uncertainty.uncertainty.students import mean_difference, student_mean

from .worlds_switching import small_world

COMMON = np.array([0.0, 0.2, -0.1, 0.3, 0.1, -0.2])
"""What students of one number share, far larger than any gain."""
NOISE = np.array([1.0, -1.0, 2.0, -2.0, 0.5, -0.5]) * 1e-4


def planted(gains, metric="accuracy", sign=1.0):
    """Results with these gains; the others' noise is none of the one-hot students'."""
    results = [Result("one_hot", np.nan, {("test", metric): 0.5 + COMMON})]
    for number, (schedule, switch, gain) in enumerate(gains):
        noise = np.roll(NOISE, number)
        results.append(Result(schedule, switch, {("test", metric): 0.5 + COMMON + sign * (gain + noise)}))
    return results


def table(results, confidence=0.95):
    return pd.DataFrame(result_rows("t", results, confidence)).set_index("schedule")


@pytest.mark.parametrize(("metric", "sign"), [("accuracy", 1.0), ("nll", -1.0)])
def test_planted_gains_are_found_whatever_students_share(metric, sign):
    gains = [("distillation", np.nan, 0.02), ("to_distillation", 0.5, 0.015), ("to_one_hot", 0.5, -0.01)]
    found = table(planted(gains, metric, sign))
    assert found["gain"].tolist() == pytest.approx([0.0, 0.02, 0.015, -0.01])
    assert found["recovered"].tolist() == pytest.approx([0.0, 1.0, 0.75, -0.5])
    assert found["recoverable"].all()
    assert (found["gain_upper"] - found["gain_lower"]).max() < 5e-4
    assert (found["recovered_upper"] - found["recovered_lower"]).max() < 0.03
    assert (found["upper"] - found["lower"]).min() > 0.3
    assert (found["recovered_lower"] <= found["recovered"]).all()
    assert (found["recovered"] <= found["recovered_upper"]).all()
    assert (
        found.loc["one_hot", ["gain_lower", "gain_upper", "recovered_lower", "recovered_upper"]].tolist() == [0.0] * 4
    )
    assert found.loc["distillation", ["recovered_lower", "recovered_upper"]].tolist() == [1.0, 1.0]


def test_intervals_are_students_t_and_paired():
    results = planted([("distillation", np.nan, 0.02)])
    for confidence in (0.5, 0.95):
        row = table(results, confidence).loc["distillation"]
        one_hot, distilled = (result.figures["test", "accuracy"] for result in results)
        assert tuple(row[["estimate", "lower", "upper"]]) == student_mean(distilled, confidence)
        assert tuple(row[["gain", "gain_lower", "gain_upper"]]) == pytest.approx(
            mean_difference(distilled, one_hot, confidence, paired=True)
        )
        assert row["num_students"] == 6
    results = planted([("distillation", np.nan, 0.02), ("to_distillation", 0.5, 0.015)])
    one_hot, whole, part = (result.figures["test", "accuracy"] for result in results)
    for confidence in (0.5, 0.95):
        row = table(results, confidence).loc["to_distillation", ["recovered", "recovered_lower", "recovered_upper"]]
        assert tuple(row) == pytest.approx(gain_share(part - one_hot, whole - one_hot, confidence))


@pytest.mark.parametrize("gain", [0.0, -0.02])
def test_of_no_gain_nothing_is_recovered_and_the_table_says_so(gain):
    found = table(planted([("distillation", np.nan, gain), ("to_distillation", 0.5, 0.02)]))
    assert not found["recoverable"].any()
    assert found[["recovered", "recovered_lower", "recovered_upper"]].isna().all(axis=None)
    assert found.loc["to_distillation", "gain"] == pytest.approx(0.02)


def test_teachers_have_their_figures_on_every_split():
    data = small_world()
    generator = torch.Generator().manual_seed(1)
    teachers = [
        Teacher(name, epochs, torch.randn(len(data.labels), 3, generator=generator))
        for name, epochs in (("interpolating", 40), ("early_stopped", 3))
    ]
    found = teacher_table(data, teachers, 0.9, seed=0)
    assert list(found) == ["teacher", "epochs", "split", "metric", "estimate", "lower", "upper"]
    assert len(found) == 2 * 3 * 2
    assert (found["lower"] < found["estimate"]).all()
    assert (found["estimate"] < found["upper"]).all()
    for row in found.itertuples():
        teacher = next(teacher for teacher in teachers if teacher.name == row.teacher)
        chosen = data.rows(row.split)
        metric = {"accuracy": accuracy, "nll": nll}[row.metric]
        assert row.epochs == teacher.epochs
        assert row.estimate == pytest.approx(float(metric(teacher.logits.numpy()[chosen], data.labels.numpy()[chosen])))
