"""Layers in order of application, against networks written in ways that mean the same, or something else."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional

from kd_uncertainty.population.dropout import with_counter_dropout
from kd_uncertainty.population.layers import chain_of

KNOWN = (nn.Linear, nn.ReLU, nn.Tanh, nn.Sigmoid, nn.SiLU, nn.GELU, nn.Dropout)


class Written(nn.Module):
    """Two layers and dropout, with a forward pass that is given."""

    def __init__(self, forward):
        super().__init__()
        self.first, self.drop, self.last = nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 4)
        self.of = forward

    def forward(self, inputs):
        return self.of(self, inputs)


@pytest.mark.parametrize(
    ("activation", "kind"),
    [
        (functional.relu, nn.ReLU),
        (torch.relu, nn.ReLU),
        (torch.relu_, nn.ReLU),
        (lambda values: values.relu(), nn.ReLU),
        (lambda values: functional.relu(values, inplace=True), nn.ReLU),
        (lambda values: values.relu_(), nn.ReLU),
        (torch.tanh, nn.Tanh),
        (functional.tanh, nn.Tanh),
        (lambda values: values.sigmoid(), nn.Sigmoid),
        (functional.sigmoid, nn.Sigmoid),
        (functional.silu, nn.SiLU),
        (functional.gelu, nn.GELU),
    ],
)
def test_functions_count_as_the_modules_that_compute_the_same(activation, kind):
    network = Written(lambda self, inputs: self.last(activation(self.first(inputs))))
    first, function, last = chain_of(network, KNOWN)
    assert (first, type(function), last) == (network.first, kind, network.last)
    values = torch.randn(100)
    assert torch.equal(function(values), activation(values.clone()))


def test_the_order_is_that_of_the_forward_pass_and_layers_may_repeat():
    network = Written(lambda self, inputs: self.first(self.drop(self.last(self.drop(self.first(inputs))))))
    assert chain_of(network, KNOWN) == [network.first, network.drop, network.last, network.drop, network.first]
    linear = nn.Linear(4, 4)
    nested = nn.Sequential(linear, nn.Sequential(nn.ReLU(), linear))
    assert chain_of(nested, KNOWN) == [linear, nested[1][0], linear]


def test_dropout_by_counter_is_a_layer_and_training_mode_is_what_counts():
    def forward(self, inputs):
        return self.last(self.drop(self.first(inputs)) if self.training else self.first(inputs))

    network = with_counter_dropout(Written(forward)).eval()
    assert chain_of(network, (nn.Linear, type(network.drop))) == [network.first, network.drop, network.last]
    assert not network.training


OTHERS = {
    "residual": lambda self, inputs: self.last(inputs + self.first(inputs)),
    "branches": lambda self, inputs: self.last(self.first(inputs) if inputs.sum() > 0 else inputs),
    "scaled": lambda self, inputs: 2 * self.last(self.first(inputs)),
    "another formula": lambda self, inputs: self.last(functional.gelu(self.first(inputs), approximate="tanh")),
    "unknown function": lambda self, inputs: self.last(torch.sin(self.first(inputs))),
    "functional dropout": lambda self, inputs: self.last(functional.dropout(self.first(inputs))),
    "a layer unused": lambda self, inputs: self.last(inputs),
    "stochastic depth": lambda self, inputs: self.last(inputs if torch.rand(()) < 0.0 else self.first(inputs)),
    "lots of Python's": lambda self, inputs: self.last(inputs if random.random() < 0.0 else self.first(inputs)),
    "the weight alone": lambda self, inputs: self.last(inputs @ self.first.weight),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_what_is_more_than_its_layers_is_told_apart_and_nothing_is_drawn(kind):
    network, states = Written(OTHERS[kind]), (torch.get_rng_state(), random.getstate())
    assert chain_of(network, KNOWN) is None
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]


def _hook(module, *_):
    return None


TAMPERING = {
    "forward hook": lambda layer: layer.register_forward_hook(_hook),
    "forward pre-hook": lambda layer: layer.register_forward_pre_hook(_hook),
    "backward hook": lambda layer: layer.register_full_backward_hook(_hook),
    "backward pre-hook": lambda layer: layer.register_full_backward_pre_hook(_hook),
    "parameter hook": lambda layer: layer.weight.register_hook(_hook),
    "forward of its own": lambda layer: setattr(layer, "forward", lambda inputs: 2 * inputs),
    "parametrisation": nn.utils.parametrizations.weight_norm,
    "parameter of its own": lambda layer: layer.register_parameter("other", nn.Parameter(torch.zeros(1))),
}


@pytest.mark.parametrize("kind", TAMPERING)
def test_layers_that_do_more_than_their_type_says_are_none(kind):
    written = Written(lambda self, inputs: self.last(self.first(inputs)))
    for network in (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), written):
        assert chain_of(network, KNOWN) is not None
        TAMPERING[kind](next(network.children()))
        assert chain_of(network, KNOWN) is None


def test_a_subclass_is_another_layer():
    class Twice(nn.Linear):
        def forward(self, inputs):
            return 2 * super().forward(inputs)

    assert chain_of(nn.Sequential(Twice(4, 4)), KNOWN) is None
