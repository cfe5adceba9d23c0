"""Excess risk against the loss itself, and where the loss has no digits left."""

import numpy as np
import pytest
import torch

from kd_uncertainty.convergence.curvature import contrasts, hessian
from kd_uncertainty.convergence.descent import squared_distance, squared_length
from kd_uncertainty.convergence.divergence import excess_risk, quasi_convexity

from .worlds import world


def loss(one, weights):
    """The mean cross-entropy with P of weights (K, d), and its gradient."""
    leaf = torch.from_numpy(weights.copy()).requires_grad_()
    value = torch.nn.functional.cross_entropy(
        torch.from_numpy(one.inputs) @ leaf.T, torch.from_numpy(one.probabilities)
    )
    return value.item(), torch.autograd.grad(value, leaf)[0].numpy()


def stacked(one, scale, count=5, seed=0):
    """Weights (d, K, count) around theta*."""
    apart = np.random.default_rng(seed).standard_normal((*one.weights.T.shape, count))
    return one.weights.T[:, :, None] + scale * apart


@pytest.mark.parametrize("scale", [0.05, 1.0, 30.0])
def test_excess_risk_is_the_difference_of_losses(scale):
    one = world()
    weights = stacked(one, scale)
    best = loss(one, one.weights)[0]
    expected = [loss(one, weights[:, :, student].T)[0] - best for student in range(5)]
    np.testing.assert_allclose(excess_risk(one, weights), expected, rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("scale", [1e-13, 1e-8, 1e-5])
def test_close_to_the_optimum_excess_risk_is_its_quadratic_form(scale):
    """Where the difference of losses is rounding; the cubic term is of relative size ``scale``."""
    one = world(size=0.0)  # theta* = 0, so that differences of 1e-13 are exact
    weights = stacked(one, scale)
    basis = contrasts(4)
    apart = np.einsum("ka,dks->sad", basis, weights).reshape(5, -1)
    expected = np.einsum("si,ij,sj->s", apart, hessian(one.inputs, one.probabilities), apart) / 2.0
    np.testing.assert_allclose(excess_risk(one, weights), expected, rtol=20 * scale + 1e-12)


def test_the_series_and_the_difference_meet():
    """On both sides of where one takes over from the other, excess risk over scale squared runs on smoothly."""
    one = world()
    scales = np.geomspace(1e-5, 1e-2, 60)
    direction = stacked(one, 1.0, count=1)[:, :, 0] - one.weights.T
    weights = one.weights.T[:, :, None] + scales * direction[:, :, None]
    for values in (excess_risk(one, weights), quasi_convexity(one, weights, squared_distance(one, weights))):
        ratios = np.log(values)
        assert np.abs(np.diff(ratios, 3)).max() < 2e-3  # a jump of 1e-3 or more would stand out


def test_a_student_far_away_has_a_finite_excess():
    one = world()
    weights = stacked(one, 1e4)
    values = excess_risk(one, weights)
    assert np.isfinite(values).all()
    assert (values > 1e3).all()
    assert np.isfinite(quasi_convexity(one, weights, squared_distance(one, weights))).all()


@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_quasi_convexity_is_its_definition(scale):
    one = world()
    weights = stacked(one, scale)
    distance = squared_distance(one, weights)
    best = loss(one, one.weights)[0]
    for student in range(5):
        own = weights[:, :, student].T
        value, gradient = loss(one, own)
        expected = 2.0 * (best - value - (gradient * (one.weights - own)).sum()) / distance[student]
        assert quasi_convexity(one, weights, distance)[student] == pytest.approx(expected, rel=1e-9)


def test_distances_do_not_see_the_gauge():
    one = world()
    weights = stacked(one, 1.0, count=2)
    weights[:, :, 1] = weights[:, :, 0] + np.array([1.0, -3.0, 0.5])[:, None]
    found = squared_distance(one, weights)
    assert found[1] == pytest.approx(found[0], rel=1e-12)
    assert found[0] == pytest.approx(
        (contrasts(4).T @ (weights[:, :, 0].T - one.weights) ** 1).ravel()
        @ (contrasts(4).T @ (weights[:, :, 0].T - one.weights)).ravel(),
        rel=1e-12,
    )
    assert squared_length(weights[:, :, 1] - weights[:, :, 0]) == pytest.approx(0.0, abs=1e-20)


def test_a_students_excess_does_not_depend_on_who_is_beside_it():
    one = world()
    weights = np.concatenate([stacked(one, 1e-4), stacked(one, 1.0), stacked(one, 1e4)], axis=2)
    alone = [excess_risk(one, weights[:, :, [student]])[0] for student in range(15)]
    np.testing.assert_allclose(excess_risk(one, weights), alone, rtol=1e-10)
