import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, log_loss

from kd_uncertainty import calibration
from kd_uncertainty.calibration import (
    accuracy,
    agreement,
    brier,
    ece,
    evaluate_students,
    kl_to_teacher,
    log_softmax,
    metric_intervals,
    nll,
    reliability_bins,
)

# Confidences .9 .8 .6 .6 with the labels right, wrong, right, wrong.
BY_HAND = np.log(np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6], [0.4, 0.6]]))
TARGETS = np.array([0, 1, 1, 0])


def world(seed, *leading, examples=50, classes=4):
    rng = np.random.default_rng(seed)
    logits = 2 * rng.standard_normal((*leading, examples, classes))
    return logits, rng.integers(0, classes, examples), rng.dirichlet(np.ones(classes), examples)


def test_log_softmax_is_stable_and_leaves_log_probabilities_alone():
    np.testing.assert_allclose(
        log_softmax(np.array([1e4, 1e4 - 1])), [-math.log1p(math.exp(-1)), -1 - math.log1p(math.exp(-1))]
    )
    np.testing.assert_allclose(log_softmax(np.array([-1e30, 0.0])), [-1e30, 0.0])
    np.testing.assert_array_equal(log_softmax(np.array([0.0, -np.inf])), [0.0, -np.inf])
    np.testing.assert_allclose(log_softmax(BY_HAND), BY_HAND, atol=1e-15)
    assert log_softmax(np.zeros(2, np.float32)).dtype == np.float64


def test_metrics_by_hand():
    assert accuracy(BY_HAND, TARGETS) == 0.5
    assert nll(BY_HAND, TARGETS) == pytest.approx(-(math.log(0.9) + math.log(0.2) + math.log(0.6) + math.log(0.4)) / 4)
    assert brier(BY_HAND, TARGETS) == pytest.approx((2 * 0.01 + 2 * 0.64 + 2 * 0.16 + 2 * 0.36) / 4)
    # Five bins: (.4, .6] holds two of confidence .6 and accuracy .5; (.6, .8] one wrong of .8; (.8, 1] one right of .9.
    nudged = BY_HAND - [[0, 0], [1e-9, -1e-9], [-1e-9, 1e-9], [-1e-9, 1e-9]]  # off the bins' edges
    assert ece(nudged, TARGETS, bins=5) == pytest.approx((abs(1.2 - 1) + 0.8 + 0.1) / 4, abs=1e-6)


def test_reliability_by_hand():
    nudged = BY_HAND - [[0, 0], [1e-9, -1e-9], [-1e-9, 1e-9], [-1e-9, 1e-9]]
    found = reliability_bins(nudged, TARGETS, bins=5)
    np.testing.assert_allclose(found.bin_lower, [0, 0.2, 0.4, 0.6, 0.8])
    np.testing.assert_allclose(found.bin_upper, [0.2, 0.4, 0.6, 0.8, 1.0])
    assert found.count.tolist() == [0, 0, 2, 1, 1]
    np.testing.assert_allclose(found.confidence, [np.nan, np.nan, 0.6, 0.8, 0.9], atol=1e-8)
    np.testing.assert_array_equal(found.accuracy, [np.nan, np.nan, 0.5, 0.0, 1.0])


def test_bins_are_closed_above_on_their_own_edges():
    half = np.log(np.array([[0.5, 0.5]]))
    assert reliability_bins(half, np.array([0]), bins=2).count.tolist() == [1, 0]
    certain = np.array([[0.0, -np.inf]])
    assert reliability_bins(certain, np.array([0]), bins=10).count[-1] == 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 30))
def test_against_scikit_learn_and_a_loop_over_bins(seed, bins):
    logits, targets, _ = world(seed)
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert accuracy(logits, targets) == pytest.approx(accuracy_score(targets, p.argmax(1)))
    assert nll(logits, targets) == pytest.approx(log_loss(targets, p, labels=range(4)))
    assert brier(logits, targets) == pytest.approx(((p - np.eye(4)[targets]) ** 2).sum(1).mean())
    expected, confidence, right = 0.0, p.max(1), p.argmax(1) == targets
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if inside.any():
            expected += inside.mean() * abs(right[inside].mean() - confidence[inside].mean())
    assert ece(logits, targets, bins) == pytest.approx(expected)


def test_ece_is_the_mean_gap_of_the_reliability_diagram():
    logits, targets, _ = world(1, examples=300)
    found = reliability_bins(logits, targets, bins=15)
    gaps = np.nan_to_num(np.abs(found.accuracy - found.confidence))
    assert ece(logits, targets, 15) == pytest.approx((found.count * gaps).sum() / 300)
    assert found.count.sum() == 300


def test_reliability_pools_students():
    logits, targets, _ = world(2, 6)
    pooled = reliability_bins(logits, targets)
    flat = reliability_bins(logits.reshape(-1, 4), np.tile(targets, 6))
    np.testing.assert_array_equal(pooled.count, flat.count)
    np.testing.assert_allclose(pooled.accuracy, flat.accuracy)


def test_fidelity_by_hand():
    teacher = np.array([[0.5, 0.5], [1.0, 0.0]])
    student = np.log(np.array([[0.75, 0.25], [0.25, 0.75]]))
    expected = (0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25) + math.log(4)) / 2
    assert kl_to_teacher(student, teacher) == pytest.approx(expected)
    assert agreement(student, np.array([[0.9, 0.1], [0.6, 0.4]])) == 0.5


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_kl_is_zero_for_the_teacher_itself_and_never_negative(seed):
    logits, _, teacher = world(seed)
    assert kl_to_teacher(np.log(teacher), teacher) == pytest.approx(0.0, abs=1e-12)
    assert agreement(np.log(teacher), teacher) == 1.0
    assert kl_to_teacher(logits, teacher) >= 0.0


def test_kl_with_impossible_classes():
    one_hot = np.array([[1.0, 0.0]])
    with np.errstate(divide="ignore"):
        assert kl_to_teacher(np.log(one_hot), one_hot) == 0.0
        assert kl_to_teacher(np.log(one_hot), np.array([[0.5, 0.5]])) == math.inf


@pytest.mark.parametrize("chunk_elements", [1, 500, 1 << 20])
def test_many_students_equal_each_alone(monkeypatch, chunk_elements):
    monkeypatch.setattr(calibration, "CHUNK_ELEMENTS", chunk_elements)
    logits, targets, teacher = world(3, 7)
    found, _ = evaluate_students(logits.astype(np.float32), targets, teacher, bins=10)
    for s, one in enumerate(logits.astype(np.float32)):
        expected = {
            "accuracy": accuracy(one, targets),
            "nll": nll(one, targets),
            "brier": brier(one, targets),
            "ece": ece(one, targets, 10),
            "agreement": agreement(one, teacher),
            "kl_to_teacher": kl_to_teacher(one, teacher),
        }
        assert {name: values[s] for name, values in found.items()} == pytest.approx(
            {name: float(value) for name, value in expected.items()}
        )


@pytest.mark.parametrize("chunk_elements", [1, 500, 1 << 20])
def test_the_students_diagram_is_that_of_their_pooled_predictions(monkeypatch, chunk_elements):
    monkeypatch.setattr(calibration, "CHUNK_ELEMENTS", chunk_elements)
    logits, targets, _ = world(6, 7)
    _, found = evaluate_students(logits, targets, bins=10)
    expected = reliability_bins(logits, targets, bins=10)
    for name, values in vars(expected).items():
        np.testing.assert_array_equal(getattr(found, name), values, err_msg=name)


def test_without_a_teacher_fidelity_is_nan():
    logits, targets, _ = world(4, 3)
    found, _ = evaluate_students(logits, targets)
    assert np.isnan([found["agreement"], found["kl_to_teacher"]]).all()
    assert np.isfinite(found["ece"]).all()


def test_a_population_takes_well_under_two_seconds():
    logits, targets, teacher = world(5, 1500, examples=360, classes=10)
    start = time.process_time()
    evaluate_students(logits.astype(np.float32), targets, teacher)
    assert time.process_time() - start < 2.0


def test_intervals_hold_the_metrics_in_range():
    logits, targets, _ = world(6, examples=200)
    found = {row.metric: row for row in metric_intervals(logits, targets)}
    expected = {"accuracy": accuracy, "nll": nll, "brier": brier, "ece": ece}
    assert list(found) == list(expected)
    for name, function in expected.items():
        assert found[name].estimate == pytest.approx(float(function(logits, targets)))
        assert 0.0 <= found[name].lower < found[name].estimate < found[name].upper
    assert found["accuracy"].upper <= 1.0


def test_intervals_of_means_are_as_wide_as_theory_says():
    logits, targets, _ = world(7, examples=400)
    row = metric_intervals(logits, targets, num_bootstrap=8000)[0]
    error = math.sqrt(row.estimate * (1 - row.estimate) / 400)
    assert row.upper - row.lower == pytest.approx(2 * 1.96 * error, rel=0.05)


def test_intervals_are_reproducible_and_cover():
    rng = np.random.default_rng(8)
    logits, targets, _ = world(9)
    assert metric_intervals(logits, targets, seed=3) == metric_intervals(logits, targets, seed=3)
    # Targets drawn from the predictions themselves: the expected log loss is the mean entropy over all inputs.
    hits = 0
    for seed in range(300):
        p = rng.dirichlet(np.ones(3), 150)
        drawn = (rng.random((150, 1)) > p.cumsum(axis=1)).sum(axis=1)
        row = metric_intervals(np.log(p), drawn, num_bootstrap=200, seed=seed)[1]
        hits += row.lower <= 5 / 6 <= row.upper  # E H(p) = psi(4) - psi(2) = 1/2 + 1/3 under Dirichlet(1, 1, 1)
    assert hits / 300 >= 0.9
