"""Curvature against automatic differentiation, eigenvalues and brute force."""

import numpy as np
import pytest
import torch

from kd_uncertainty.convergence.curvature import (
    contrasts,
    hessian,
    mean_square_limit,
    smoothness,
    strong_convexity,
)

from .worlds import world


def full_hessian(one, rows=slice(None)):
    """The Hessian (K d, K d) of the mean cross-entropy with P at theta*, by autograd."""
    inputs, targets = torch.from_numpy(one.inputs[rows]), torch.from_numpy(one.probabilities[rows])
    weights = torch.from_numpy(one.weights)

    def loss(flat):
        return torch.nn.functional.cross_entropy(inputs @ flat.reshape(weights.shape).T, targets)

    return torch.autograd.functional.hessian(loss, weights.flatten()).numpy()


def test_contrasts_are_an_orthonormal_basis_off_the_gauge():
    basis = contrasts(6)
    np.testing.assert_allclose(basis.T @ basis, np.eye(5), atol=1e-14)
    np.testing.assert_allclose(basis.sum(axis=0), 0.0, atol=1e-14)


def test_the_hessian_is_that_of_autograd_off_the_gauge():
    one = world()
    basis = np.kron(contrasts(4), np.eye(3))
    np.testing.assert_allclose(hessian(one.inputs, one.probabilities), basis.T @ full_hessian(one) @ basis, atol=1e-12)


def test_mu_is_the_smallest_eigenvalue_that_is_not_the_gauges():
    one = world()
    values = np.linalg.eigvalsh(full_hessian(one))
    np.testing.assert_allclose(values[:3], 0.0, atol=1e-12)
    assert strong_convexity(one.inputs, one.probabilities) == pytest.approx(values[3], rel=1e-9)


def test_l_bounds_the_curvature_of_every_example_and_two_even_classes_reach_it():
    one = world(classes=3)
    assert max(np.linalg.eigvalsh(full_hessian(one, [row]))[-1] for row in range(30)) <= smoothness(one.inputs)
    inputs = np.array([[1.0, 2.0]])
    assert np.linalg.eigvalsh(hessian(inputs, np.array([[0.5, 0.5]])))[-1] == pytest.approx(smoothness(inputs))


def test_one_weight_has_a_limit_too():
    """Of two even classes: h = x^2 / 2 in one dimension, stable iff alpha E h^2 < 2 E h."""
    inputs = np.array([[1.0], [2.0]])
    expected = 2.0 * np.mean([0.5, 2.0]) / np.mean([0.25, 4.0])
    assert mean_square_limit(inputs, np.full((2, 2), 0.5)) == pytest.approx(expected, rel=1e-12)


def test_the_mean_square_limit_is_where_the_map_of_covariances_has_radius_one():
    one = world(examples=12, classes=3)
    basis = np.kron(contrasts(3), np.eye(3))
    size = basis.shape[1]

    def radius(alpha):
        steps = [np.eye(size) - alpha * basis.T @ full_hessian(one, [row]) @ basis for row in range(12)]
        return np.abs(np.linalg.eigvals(np.mean([np.kron(step, step) for step in steps], axis=0))).max()

    limit = mean_square_limit(one.inputs, one.probabilities)
    assert radius(limit) == pytest.approx(1.0, abs=1e-7)
    assert radius(0.99 * limit) < 1.0 < radius(1.01 * limit)
