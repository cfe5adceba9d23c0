"""Worlds of the section: losses are those of the predictions, and noise flips labels."""

import numpy as np
import pytest

from kd_uncertainty.bounds._process_worlds import draw_world, label_losses, smoothed_losses, world_process


@pytest.fixture
def world():
    return draw_world(seed=3, number=0, num_inputs=3, num_hypotheses=4, margin=2.0)


def test_the_losses_are_those_of_the_predictions(world):
    process = world_process(world, "log", 0.0, num_examples=2, inverse_temperature=1.0)
    np.testing.assert_allclose(process.predictions.sum(axis=2), 1.0, rtol=1e-15)
    np.testing.assert_allclose(process.losses, -np.log(process.predictions), rtol=1e-12)
    brier = world_process(world, "brier", 0.0, 2, 1.0).losses
    np.testing.assert_allclose(brier, (1.0 - process.predictions) ** 2, rtol=1e-12)
    wrong = world_process(world, "zero_one", 0.0, 2, 1.0).losses
    np.testing.assert_array_equal(wrong, process.predictions < 0.5)


def test_a_positive_margin_speaks_for_label_1(world):
    process = world_process(world, "log", 0.0, 2, 1.0)
    np.testing.assert_array_equal(process.predictions[..., 1] > 0.5, world.margins > 0.0)
    np.testing.assert_allclose(process.labels[:, 1], world.chances, rtol=1e-15)


def test_noise_flips_labels_and_nothing_else(world):
    clean, noisy = (world_process(world, "log", noise, 2, 1.0) for noise in (0.0, 0.2))
    np.testing.assert_allclose(noisy.labels, clean.labels @ np.array([[0.8, 0.2], [0.2, 0.8]]), rtol=1e-14)
    for name in ("inputs", "predictions", "losses"):
        np.testing.assert_array_equal(getattr(noisy, name), getattr(clean, name))


def test_large_margins_stay_finite():
    assert label_losses(np.array([1e4]), "log").tolist() == [[1e4, 0.0]]


def test_no_ball_no_smoothing(world):
    for loss in ("log", "brier"):
        plain = label_losses(world.margins, loss)
        np.testing.assert_allclose(smoothed_losses(world.margins, loss, 0.0), plain, rtol=1e-12)


def test_worlds_differ_and_margins_only_scale(world):
    assert not np.isclose(draw_world(3, 1, 3, 4, 2.0).margins, world.margins).any()
    np.testing.assert_allclose(draw_world(3, 0, 3, 4, 4.0).margins, 2.0 * world.margins)
