"""Worlds: realisable whatever the task, and refused where there is none."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from kd_uncertainty.convergence.curvature import smoothness, strong_convexity
from kd_uncertainty.convergence.world import WorldOptions, linear_world, softmax, whitened
from kd_uncertainty.errors import UserError

from .worlds import mixture

PLAIN = WorldOptions(clip=None, conditioning=None)


def test_softmax_is_that_of_torch():
    generator = np.random.default_rng(0)
    inputs, weights = generator.standard_normal((20, 3)), 5.0 * generator.standard_normal((7, 3))
    expected = torch.softmax(torch.from_numpy(inputs @ weights.T), dim=1).numpy()
    np.testing.assert_allclose(softmax(inputs, weights), expected, rtol=1e-13)


def test_the_fit_without_limits_is_that_of_scikit_learn():
    from sklearn.linear_model import LogisticRegression

    inputs, labels, _ = mixture(200, classes=3, features=2)
    world = linear_world(inputs, labels, None, PLAIN.model_copy(update={"intercept": False, "ridge": 0.01}))
    reference = LogisticRegression(C=1.0 / (0.01 * 200), fit_intercept=False, tol=1e-10, max_iter=10_000)
    reference.fit(world.inputs, labels)
    coefficients = reference.coef_ - reference.coef_.mean(axis=0)
    np.testing.assert_allclose(world.weights, coefficients, atol=2e-4)


def test_a_realisable_task_is_recovered():
    """Given the probabilities of a softmax of its own components, the world has just these."""
    generator = np.random.default_rng(3)
    inputs = generator.standard_normal((400, 3))
    truth = softmax(inputs, generator.standard_normal((3, 3)))
    labels = truth.argmax(axis=1)
    world = linear_world(inputs, labels, truth, PLAIN.model_copy(update={"num_examples": 400, "ridge": 1e-9}))
    np.testing.assert_allclose(world.probabilities, truth, atol=1e-4)


def test_components_are_white_and_free_of_the_columns_scales():
    inputs, _, _ = mixture(300)
    found = whitened(inputs * np.geomspace(1e-3, 1e3, 30) + 7.0, 5)
    np.testing.assert_allclose(found.T @ found / 300, np.eye(5), atol=1e-10)
    np.testing.assert_allclose(found, whitened(inputs, 5), atol=1e-7)


def test_constant_and_dependent_columns_change_nothing():
    inputs, labels, bayes = mixture(200, classes=3, features=2)
    more = np.column_stack([inputs, np.full(200, 3.7), inputs @ [1.0, -2.0], np.zeros(200)])
    world = linear_world(more.astype(np.float32), labels, bayes)
    assert world.inputs.shape == (200, 3)  # two components and the intercept
    assert np.isfinite(world.probabilities).all()


def test_an_outlier_does_not_set_the_smoothness():
    inputs, labels, _ = mixture(200, classes=3, features=4)
    inputs[7] *= 1e4
    free = linear_world(inputs, labels, None, WorldOptions(clip=None))
    limited = linear_world(inputs, labels)
    assert smoothness(limited.inputs) <= (1.5**2 * 4 + 1) / 2 + 1e-9
    assert smoothness(free.inputs) > 10 * smoothness(limited.inputs)


def test_conditioning_is_what_is_asked_for():
    inputs, labels, bayes = mixture()
    plain = linear_world(inputs, labels, bayes, WorldOptions(conditioning=None))
    limited = linear_world(inputs, labels, bayes, WorldOptions(conditioning=3.0))
    flat = np.full_like(plain.probabilities, 0.2)
    least = strong_convexity(plain.inputs, flat)
    assert strong_convexity(plain.inputs, plain.probabilities) < least / 3.0
    assert strong_convexity(limited.inputs, limited.probabilities) == pytest.approx(least / 3.0, rel=1e-6)
    ratio = limited.weights / plain.weights
    np.testing.assert_allclose(ratio, ratio[0, 0], rtol=1e-9)  # a shrunk theta*, no other


def test_weights_have_no_gauge_and_make_the_probabilities():
    world = linear_world(*mixture())
    np.testing.assert_allclose(world.weights.sum(axis=0), 0.0, atol=1e-12)
    np.testing.assert_array_equal(world.probabilities, softmax(world.inputs, world.weights))


@settings(max_examples=15, deadline=None)
@given(classes=st.integers(2, 20), features=st.integers(1, 6), examples=st.integers(25, 80), seed=st.integers(0, 1000))
def test_any_task_makes_a_usable_world(classes, features, examples, seed):
    generator = np.random.default_rng(seed)
    inputs = np.round(generator.standard_normal((examples, features)), 1)
    labels = np.arange(examples) % classes
    world = linear_world(inputs.astype(np.float32), labels)
    assert world.num_classes == classes
    assert strong_convexity(world.inputs, world.probabilities) > 1e-4
    np.testing.assert_allclose(world.probabilities.sum(axis=1), 1.0, rtol=1e-12)


def test_a_large_task_is_sampled_and_the_sample_is_the_seeds():
    generator = np.random.default_rng(0)
    inputs, labels = generator.standard_normal((50_000, 12)).astype(np.float32), generator.integers(0, 20, 50_000)
    first, again = linear_world(inputs, labels), linear_world(inputs, labels)
    other = linear_world(inputs, labels, None, WorldOptions(seed=1))
    assert first.inputs.shape == (256, 5)
    np.testing.assert_array_equal(first.weights, again.weights)
    assert not np.array_equal(first.weights, other.weights)


def test_classes_without_examples_are_left_out():
    inputs, labels, _ = mixture(100, classes=3)
    assert linear_world(inputs, np.where(labels == 1, 2, labels) + 4).num_classes == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y, p: (np.ones_like(x), y, p), "no input varies"),
        (lambda x, y, p: (x, np.zeros_like(y), None), "one class"),
        (lambda x, y, p: (np.where(x == x[3, 2], np.nan, x), y, p), "finite"),
        (lambda x, y, p: (x[:-1], y, p), "do not match"),
        (lambda x, y, p: (x, y - 1, None), "classes from 0"),
        (lambda x, y, p: (x, y, p[:, :2]), "sum to 1"),
        (lambda x, y, p: (x, y, p[:-1]), "must be"),
        (lambda x, y, p: (x, y, np.full_like(p, 1 / 3)), "nothing to learn"),
    ],
)
def test_what_makes_no_world_is_refused(change, message):
    with pytest.raises(UserError, match=message):
        linear_world(*change(*mixture(60, classes=3, features=4)))


def test_unknown_options_are_refused():
    with pytest.raises(ValueError, match="Extra inputs"):
        WorldOptions(certainty=0.5)
    with pytest.raises(ValueError, match="greater than 1"):
        WorldOptions(conditioning=1.0)
