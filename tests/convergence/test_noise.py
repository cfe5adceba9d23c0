"""Convergence noise: the definitions on curves whose noise is known, gradient variance by brute force."""

import functools
import math

import numpy as np
import pytest
import torch
from torch import nn

from kd_uncertainty.convergence.noise import gradient_variances, step_std, tail_length, tail_mean, tail_std
from kd_uncertainty.networks import MLP
from kd_uncertainty.population.initialisation import initial_states

CPU = torch.device("cpu")


def test_both_definitions_are_the_standard_deviation_of_independent_fluctuations():
    curves = 0.7 + 0.05 * np.random.default_rng(0).standard_normal((400, 100))
    for definition in (tail_std, step_std):
        found = definition(curves, 0.5)
        assert found.shape == (400,)
        assert abs(found.mean() - 0.05) < 4 * found.std() / math.sqrt(400) + 0.05 / (4 * 49)  # the bias of a std


def test_a_steady_trend_counts_in_one_definition_only():
    curves = np.linspace(0.0, 1.0, 20)[None]
    np.testing.assert_allclose(step_std(curves, 0.5), 0.0, atol=1e-15)
    np.testing.assert_allclose(tail_std(curves, 0.5), curves[0, 10:].std(ddof=1))


def test_only_the_last_evaluations_count():
    curves = np.array([[9.0, -7.0, 1.0, 2.0, 4.0]])
    np.testing.assert_allclose(tail_std(curves, 0.6), np.std([1.0, 2.0, 4.0], ddof=1))
    np.testing.assert_allclose(step_std(curves, 0.6), np.std([1.0, 2.0], ddof=1) / math.sqrt(2.0))
    np.testing.assert_allclose(tail_mean(curves, 0.6), 7.0 / 3.0)
    assert tail_length(10, 0.3) == 3
    assert tail_length(10, 0.31) == 4
    with pytest.raises(ValueError, match="fewer than 3"):
        tail_std(curves, 0.4)


def brute_force(build, state, inputs, targets):
    """One backward pass an example, in float64."""
    network = build().double().eval()
    network.load_state_dict(state)
    gradients = []
    for one, target in zip(inputs.double(), targets.double(), strict=True):
        network.zero_grad()
        loss = -(target * torch.log_softmax(network(one[None])[0], -1)).sum()
        loss.backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in network.parameters()]))
    stacked = torch.stack(gradients)
    return float(stacked.square().sum(1).mean() - stacked.mean(0).square().sum())


class Residual(nn.Module):
    """No chain of layers."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, inputs):
        return self.last(inputs + torch.tanh(self.first(inputs)))


def unbiased():
    return nn.Sequential(nn.Linear(4, 6, bias=False), nn.Identity(), nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3))


@pytest.mark.parametrize(
    ("build", "examples"),
    [
        (functools.partial(MLP, 4, 3, hidden=()), 45),
        (functools.partial(MLP, 4, 3, hidden=(8, 5)), 45),
        (functools.partial(MLP, 4, 3, hidden=(8, 5)), 1500),
        (unbiased, 45),
        (Residual, 45),
        (functools.partial(MLP, 4, 3, hidden=(6,), dropout=0.5), 45),
    ],
    ids=["linear", "mlp", "several blocks", "without a bias", "no chain", "dropout is off"],
)
def test_gradient_variance_is_that_of_autograd_example_by_example(build, examples):
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(examples, 4, generator=generator)
    targets = torch.softmax(2 * torch.randn(2, examples, 3, generator=generator).double(), -1)  # sums to 1
    states = initial_states(build, (3, 4), CPU)
    expected = [
        brute_force(build, {name: values[student] for name, values in states.items()}, inputs, targets[student])
        for student in range(2)
    ]
    found = gradient_variances(build, states, inputs, lambda student: targets[student])
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_array_equal(
        gradient_variances(build, states, inputs, lambda student: targets[student], threads=2), found
    )


def test_gradients_vanish_where_a_student_says_its_targets():
    build = functools.partial(MLP, 4, 3, hidden=(8,))
    inputs = torch.randn(50, 4, generator=torch.Generator().manual_seed(1))
    states = initial_states(build, (3,), CPU)
    network = build().double()
    network.load_state_dict({name: values[0] for name, values in states.items()})
    with torch.no_grad():
        said = torch.softmax(network(inputs.double()), -1)
    (at_target,) = gradient_variances(build, states, inputs, lambda _: said)
    (elsewhere,) = gradient_variances(build, states, inputs, lambda _: said.flip(-1))
    assert 0.0 <= at_target < 1e-25 < elsewhere
