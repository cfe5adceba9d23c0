"""Tasks and models of the eigenspace study."""

import numpy as np
import pytest

from kd_uncertainty.deviations.eigenspace_models import Networks, make_model, random_features
from kd_uncertainty.deviations.eigenspace_tasks import GaussianOptions, drawn_task, eigen, gaussian_task
from kd_uncertainty.errors import UserError

SEEDS = (3, 4, 5)


def given(examples=50, features=6, classes=3):
    generator = np.random.default_rng(0)
    return 7.0 + 3.0 * generator.standard_normal((examples, features)), np.arange(examples) % classes


def test_gaussian_inputs_have_the_spectrum():
    task = gaussian_task(GaussianOptions(num_inputs=5, decay=1.5), 40_000, (1, 2))
    assert task.inputs.shape == (2, 40_000, 5)
    found = eigen(task.inputs, 9)
    np.testing.assert_allclose(found.values[:, 0], 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.values, np.tile(np.arange(1, 6) ** -1.5, (2, 1)), rtol=0.04)
    np.testing.assert_allclose(task.inputs.mean(axis=1), 0.0, atol=1e-12)
    assert np.abs(found.vectors[0, :, 0] @ found.vectors[1, :, 0]) < 0.999  # directions of their own


def test_gaussian_labels_have_their_noise():
    """Of labels that are drawn anew, all classes are equally likely: without signal to speak of nothing changes."""
    certain, noisy = (
        gaussian_task(GaussianOptions(signal=1e3, label_noise=noise), 4000, (1,)).targets.argmax(axis=2)
        for noise in (0.0, 0.3)
    )
    kept = (certain == noisy).mean()
    assert abs(kept - (0.7 + 0.3 / 3)) < 4 * np.sqrt(0.8 * 0.2 / 4000)


def test_a_seeds_task_does_not_depend_on_the_others():
    whole, alone = (gaussian_task(GaussianOptions(), 30, seeds) for seeds in (SEEDS, SEEDS[1:2]))
    np.testing.assert_array_equal(whole.inputs[1:2], alone.inputs)
    np.testing.assert_array_equal(whole.targets[1:2], alone.targets)
    whole, alone = (drawn_task(*given(), 30, 64, seeds) for seeds in (SEEDS, SEEDS[1:2]))
    np.testing.assert_array_equal(whole.inputs[1:2], alone.inputs)


def test_drawn_examples_are_the_tasks_with_their_labels_each_once():
    inputs, labels = given()
    inputs[:, 0] = labels
    task = drawn_task(inputs, labels, 30, 64, SEEDS)
    assert task.inputs.shape == (3, 30, 6)
    assert task.targets.shape == (3, 30, 3)
    for drawn, targets in zip(task.inputs, task.targets, strict=True):
        assert len(np.unique(drawn, axis=0)) == 30
        assert np.corrcoef(drawn[:, 0], targets.argmax(axis=1))[0, 1] == pytest.approx(1.0, abs=1e-12)
    assert not np.array_equal(task.inputs[0], task.inputs[1])


def test_at_most_four_fifths_are_drawn():
    assert drawn_task(*given(50), 200, 64, SEEDS).inputs.shape[1] == 40


def test_of_many_inputs_the_leading_components_are_taken():
    """Components of all examples, so that the leading ones of those drawn nearly stay what they were."""
    inputs, labels = given(2000)
    inputs = inputs * [32, 16, 8, 4, 2, 1]
    all_of_them, some = (drawn_task(inputs, labels, 1000, most, SEEDS) for most in (6, 3))
    assert some.inputs.shape == (3, 1000, 3)
    np.testing.assert_allclose(eigen(some.inputs, 2).values, eigen(all_of_them.inputs, 2).values, rtol=1e-3)


@pytest.mark.parametrize(
    ("inputs", "labels", "message"),
    [
        (np.ones((5, 2)), np.zeros(4), "do not match"),
        (np.ones(5), np.zeros(5), "do not match"),
        (np.full((5, 2), np.nan), np.arange(5), "finite"),
        (np.ones((5, 2)), np.zeros(5), "at least two"),
        (np.ones((5, 2)), np.arange(5) - 1, "classes from 0"),
        (np.ones((500, 2)), np.arange(500) == 0, "all of one class"),
    ],
)
def test_tasks_that_cannot_be_used(inputs, labels, message):
    with pytest.raises(UserError, match=message):
        drawn_task(inputs, labels, 10, 64, SEEDS)


def test_a_pair_takes_two_directions():
    line = np.outer(np.arange(20.0), [1.0, 2.0])
    with pytest.raises(UserError, match="one direction alone"):
        eigen(drawn_task(line, np.arange(20) % 2, 10, 64, SEEDS).inputs, 5)
    inputs, _ = given()
    wider = np.column_stack([inputs, inputs @ np.ones(6), np.ones(50)])  # dependent and constant columns
    assert eigen(drawn_task(wider, np.arange(50) % 2, 30, 64, SEEDS).inputs, 99).values.shape == (3, 6)


def test_directions_are_eigenvectors_by_falling_eigenvalue():
    task = drawn_task(*given(), 30, 64, SEEDS)
    values, vectors = eigen(task.inputs, 4)
    for inputs, own, found in zip(task.inputs, values, vectors, strict=True):
        np.testing.assert_allclose(inputs.T @ inputs / 30 @ found, found * own, atol=1e-12)
        assert (np.diff(own) < 0.0).all()


def test_random_features_are_rectified_lines():
    """Where a feature is above its least value, it is affine in the inputs."""
    task = gaussian_task(GaussianOptions(), 400, (1,))
    feature = random_features(task, 3)[0][:, 0]
    assert abs(feature.mean()) < 1e-12
    active = feature > feature.min() + 1e-9
    design = np.column_stack([task.inputs[0], np.ones(400)])[active]
    residual = feature[active] - design @ np.linalg.lstsq(design, feature[active], rcond=None)[0]
    assert 40 < active.sum() < 360
    assert np.abs(residual).max() < 1e-12


def test_models_start_where_they_should():
    task = gaussian_task(GaussianOptions(), 30, SEEDS)
    linear, network = (make_model(kind, task, Networks(hidden=400), 0.1, 5) for kind in ("linear_squared", "mlp"))
    assert (linear.start("teacher")[0] == 0.0).all()
    np.testing.assert_allclose(linear.targets.mean(axis=1), 0.0, atol=1e-15)
    np.testing.assert_array_equal(network.targets, task.targets)
    teacher, again, student = (network.start(purpose) for purpose in ("teacher", "teacher", "student"))
    np.testing.assert_array_equal(teacher[0], again[0])
    assert np.abs(teacher[0] - student[0]).min() > 0.0
    assert teacher[0].std() == pytest.approx(np.sqrt(2 / 20), rel=0.02)
    assert teacher[2].std() == pytest.approx(np.sqrt(2 / 400), rel=0.05)
    assert (teacher[1] == 0.0).all()
    assert (teacher[3] == 0.0).all()
