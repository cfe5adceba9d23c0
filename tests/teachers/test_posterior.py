"""Gradients of the likelihood that samplers and approximations share, and weights as vectors."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers._posterior import Likelihood
from kd_uncertainty.teachers._vectors import Vectors, normals
from tests.teachers import worlds


@pytest.mark.parametrize("batch_size", [7, 50])
def test_minibatches_of_an_epoch_make_up_the_whole_gradient(batch_size):
    """Slopes are means of a minibatch, so that they add up by its share; the last minibatch is a partial one."""
    problem = worlds.linear_regression(TrainingOptions(batch_size=batch_size))
    vectors = Vectors.of_problem(problem, "kind")
    weights = torch.tensor([[0.3, -0.2, 1.0], [0.0, 2.0, 0.0]])
    likelihood = Likelihood(problem, vectors, [1, 2], noise_std=0.5)
    gradients, losses = torch.zeros(2, 3), torch.zeros(2)
    for slopes, examples in likelihood.epoch(0):
        found = slopes(weights)
        gradients, losses = gradients + found[0] * examples / 30, losses + found[1] * examples / 30
    design = torch.cat([problem.inputs, torch.ones(30, 1)], dim=1)
    errors = weights @ design.T - problem.labels[:, 0]
    torch.testing.assert_close(losses, errors.square().mean(1) / (2 * 0.5**2))
    torch.testing.assert_close(gradients, errors @ design / 30 / 0.5**2)


@pytest.mark.parametrize("class_path", ["kd_uncertainty.networks.MLP", "tests.teachers.worlds.Residual"])
def test_gradients_are_those_of_each_network_alone(problem, class_path):
    """A stack of layers, which the engine vectorises, and a network that it does not; dropout is off."""
    network = worlds.network(class_path)
    if class_path.endswith("MLP"):
        network = network.model_copy(update={"arguments": {"hidden": [5], "dropout": 0.5}})
    problem = replace(problem, network=network, training=TrainingOptions(batch_size=200))
    vectors = Vectors.of_problem(problem, "kind")
    weights = torch.randn(3, vectors.size, generator=torch.Generator().manual_seed(0))
    for slopes, examples in Likelihood(problem, vectors, [1, 1, 1], noise_std=1.0).epoch(0):
        assert examples == len(problem.labels)
        gradients, losses = slopes(weights)
    for one, gradient, loss in zip(weights, gradients, losses, strict=True):
        module = vectors.build().eval()
        module.load_state_dict({name: values[0] for name, values in vectors.state(one[None]).items()})
        expected = cross_entropy(module(problem.inputs), problem.labels)
        torch.testing.assert_close(loss, expected.detach())
        slopes_of_one = torch.autograd.grad(expected, list(module.parameters()))
        torch.testing.assert_close(gradient, torch.cat([values.flatten() for values in slopes_of_one]))


def test_vectors_and_parameters_are_each_others_inverse(problem):
    vectors = Vectors.of_problem(problem, "kind")
    weights = torch.randn(2, vectors.size, generator=torch.Generator().manual_seed(0))
    state = vectors.state(weights)
    assert {name: tuple(values.shape) for name, values in state.items()} == {
        "0.weight": (2, 16, 2),
        "0.bias": (2, 16),
        "2.weight": (2, 3, 16),
        "2.bias": (2, 3),
    }
    assert torch.equal(vectors.flat(state), weights)


def test_the_prior_is_scaled_by_the_inputs_of_a_unit(problem):
    vectors = Vectors.of_problem(problem, "kind")
    std = {name: values[0].unique().tolist() for name, values in vectors.state(vectors.prior_std(2.0)[None]).items()}
    assert std == {
        "0.weight": [pytest.approx(2 / np.sqrt(2))],
        "0.bias": [2.0],
        "2.weight": [pytest.approx(2 / np.sqrt(16))],
        "2.bias": [2.0],
    }


def test_normals_are_standard_and_their_own_for_each_draw():
    draws = torch.stack([normals(1, "weights", draw, 500, torch.zeros(())) for draw in range(40)])
    assert abs(float(draws.mean())) < 4 / np.sqrt(20_000)
    assert abs(float(draws.square().mean()) - 1) < 4 * np.sqrt(2 / 20_000)
    assert (np.abs(np.corrcoef(draws)[np.triu_indices(40, 1)]) < 4.5 / np.sqrt(500)).all()
    assert not torch.equal(normals(1, "others", 0, 500, draws), draws[0])
