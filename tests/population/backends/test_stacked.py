"""Stacked layers against nn.Linear, one student at a time, bit for bit in values and gradients."""

import functools
import random

import pytest
import torch
from torch import nn
from torch.nn.functional import linear

from kd_uncertainty.networks import MLP
from kd_uncertainty.population.backends.stacked import _EXACT, _INEXACT, _StackedLinear, is_stack, stacked_forward
from kd_uncertainty.population.dropout import with_counter_dropout
from kd_uncertainty.population.initialisation import initial_states, reproducible

CPU = torch.device("cpu")


def _with_activation(kind):
    activation = nn.Threshold(0.1, 0.05) if kind is nn.Threshold else kind()
    return nn.Sequential(nn.Linear(6, 4), activation, nn.Linear(4, 3))


SIZES = (1, 2, 3, 5, 7, 13, 16, 30, 54, 64, 100, 128, 385, 784)


def _shapes(count):
    generator = random.Random(0)
    for _ in range(count):
        yield generator.choice((1, 2, 3, 8)), *(generator.choice(SIZES) for _ in range(3))


def test_layers_of_any_shape_equal_single_ones_bit_for_bit():
    """No first dimension, width, batch or number of students may matter. Values, weight and bias gradients."""
    torch.manual_seed(0)
    for shape in _shapes(400):
        students, examples, inner, outer = shape
        inputs, weight = torch.randn(students, examples, inner), torch.randn(students, outer, inner, requires_grad=True)
        bias = torch.randn(students, outer, requires_grad=True)
        gradient = torch.randn(students, examples, outer)
        with reproducible(CPU):
            values = _StackedLinear.apply(inputs, weight, bias)
            found = (values, *torch.autograd.grad(values, (weight, bias), gradient))
            for student in range(students):
                # Clones, so that every matrix starts where a network's own would.
                own = [tensor[student].detach().clone().requires_grad_() for tensor in (weight, bias)]
                value = linear(inputs[student].clone(), *own)
                expected = (value, *torch.autograd.grad(value, own, gradient[student].clone()))
                for one, other in zip(found, expected, strict=True):
                    assert torch.equal(one[student], other), shape


def test_gradients_of_inputs_equal_single_ones_bit_for_bit():
    torch.manual_seed(0)
    # A single example into a single unit: autograd takes a (1, 1) matrix for a transposed one.
    for shape in (*_shapes(200), *((3, 1, 1, outer) for outer in SIZES)):
        students, examples, inner, outer = shape
        inputs, weight = torch.randn(students, examples, inner, requires_grad=True), torch.randn(students, outer, inner)
        gradient = torch.randn(students, examples, outer)
        with reproducible(CPU):
            (found,) = torch.autograd.grad(_StackedLinear.apply(inputs, weight, None), inputs, gradient)
            for student in range(students):
                own = inputs[student].detach().clone().requires_grad_()
                value = linear(own, weight[student].clone())
                (expected,) = torch.autograd.grad(value, own, gradient[student].clone())
                assert torch.equal(found[student], expected), shape


def test_gradients_are_derivatives():
    torch.manual_seed(0)
    tensors = [torch.randn(*shape, dtype=torch.float64, requires_grad=True) for shape in ((2, 3, 4), (2, 5, 4), (2, 5))]
    assert torch.autograd.gradcheck(_StackedLinear.apply, tensors)


@pytest.mark.parametrize(
    "build",
    [
        lambda: MLP(6, 3, hidden=(8, 5)),
        lambda: MLP(6, 3, hidden=()),
        lambda: nn.Sequential(nn.Sequential(nn.Linear(6, 4, bias=False), nn.LeakyReLU()), nn.Linear(4, 3)),
        lambda: nn.Linear(6, 3),
        *(functools.partial(_with_activation, kind) for kind in (*_EXACT, *_INEXACT)),
    ],
)
def test_stacks_compute_what_their_networks_compute(build):
    forward = stacked_forward(build())
    assert forward is not None
    states, inputs = initial_states(build, [1, 2, 3], CPU), torch.randn(3, 9, 6)
    logits = forward(states, inputs)
    for student in range(3):
        network = build()
        network.load_state_dict({name: values[student] for name, values in states.items()})
        torch.testing.assert_close(logits[student], network(inputs[student]).detach())


def test_tied_layers_share_their_parameters():
    shared = nn.Linear(6, 6)
    network = nn.Sequential(shared, nn.ReLU(), shared)
    forward = stacked_forward(network)
    inputs = torch.randn(4, 6)
    state = {name: values.detach().unsqueeze(0) for name, values in network.named_parameters()}
    torch.testing.assert_close(forward(state, inputs.unsqueeze(0))[0], network(inputs).detach())


def test_anything_else_is_left_to_vmap():
    class Doubling(nn.Sequential):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    assert stacked_forward(Doubling(nn.Linear(2, 2))) is None
    assert stacked_forward(nn.Sequential(nn.Linear(2, 2), nn.PReLU())) is None
    assert stacked_forward(nn.Sequential(nn.Linear(2, 2), nn.Softmax(-1))) is None
    assert stacked_forward(nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))) is None  # that of one generator
    assert stacked_forward(nn.Sequential(nn.Conv1d(1, 1, 1))) is None


@pytest.mark.parametrize("inplace", [False, True])
@pytest.mark.parametrize("size", [1, 7, 33, 130])
@pytest.mark.parametrize("kind", [nn.SiLU, nn.ELU, nn.CELU, nn.ReLU, nn.LeakyReLU, nn.Mish, nn.Hardswish])
def test_activations_equal_single_ones_bit_for_bit_in_values_and_gradients(kind, size, inplace):
    """Also those that work in place, without touching what they are given."""
    torch.manual_seed(size)
    forward = stacked_forward(nn.Sequential(nn.Identity(), kind(inplace=inplace)))
    values, gradient = torch.randn(5, 3, size, requires_grad=True), torch.randn(5, 3, size)
    before = values.detach().clone()
    with reproducible(CPU):
        found = forward({}, values)
        (slope,) = torch.autograd.grad(found, values, gradient)
        assert torch.equal(values, before)
        for student in range(5):
            own = before[student].clone().requires_grad_()
            expected = kind(inplace=inplace)(own.clone())
            assert torch.equal(found[student], expected)
            assert torch.equal(slope[student], torch.autograd.grad(expected, own, gradient[student].clone())[0])


def test_dropout_counts_as_a_layer_of_a_stack_to_be():
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5))
    assert is_stack(network)
    assert stacked_forward(with_counter_dropout(network)) is not None
    assert is_stack(network)
