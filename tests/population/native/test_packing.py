"""The kernel's memory: layout by hand, and there and back."""

import pytest
import torch
from torch import nn

from kd_uncertainty.networks import MLP
from kd_uncertainty.population.native.packing import Layer, layers_of, pack, unpack


def _state(network, students):
    """Stacked parameters, all numbers different."""
    start, state = 1, {}
    for name, values in network.named_parameters():
        count = students * values.numel()
        state[name] = torch.arange(start, start + count, dtype=torch.float32).view(students, *values.shape)
        start += count
    return state


def test_layout_of_a_small_layer_by_hand():
    """(inputs + 1) rows of 16 floats: a row for each input, the outputs' weights in it; last the bias."""
    network = nn.Linear(2, 3)
    state = {"weight": torch.tensor([[[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]]), "bias": torch.tensor([[7.0, 8.0, 9.0]])}
    memory = pack(state, layers_of(network), slots=2)
    assert memory.shape == (1, 2, 3 * 16)
    rows = memory[0, 0].view(3, 16)
    assert rows[:, :3].tolist() == [[1.0, 3.0, 5.0], [2.0, 4.0, 6.0], [7.0, 8.0, 9.0]]
    assert not rows[:, 3:].any()
    assert not memory[0, 1].any()


def test_wide_layers_are_cut_into_panels_of_64_columns():
    network = nn.Linear(2, 70, bias=False)
    state = _state(network, 1)
    memory = pack(state, layers_of(network), slots=1)[0, 0]
    first, second = memory[: 3 * 64].view(3, 64), memory[3 * 64 :].view(3, 16)
    assert torch.equal(first[:2], state["weight"][0, :64].T)
    assert torch.equal(second[:2, :6], state["weight"][0, 64:].T)
    assert not first[2].any()
    assert not second[2].any()
    assert not second[:, 6:].any()


@pytest.mark.parametrize("hidden", [(), (5,), (64,), (65, 130), (16, 16, 1)])
def test_there_and_back(hidden):
    network = MLP(7, 3, hidden=hidden)
    state = _state(network, 4)
    layers = layers_of(network)
    found = {name: torch.full_like(values, -1.0) for name, values in state.items()}
    memory = pack(state, layers, slots=3)
    assert memory.data_ptr() % 64 == 0
    assert memory.shape[-1] * 4 % 64 == 0  # so that every student's arrays start at a multiple of 64 bytes
    unpack(memory, layers, found)
    assert all(torch.equal(found[name], state[name]) for name in state)


def test_layers_of_nested_sequences():
    inner = nn.Sequential(nn.Linear(4, 20), nn.ReLU(), nn.ReLU())
    network = nn.Sequential(inner, nn.Identity(), nn.Linear(20, 6, bias=False), nn.Linear(6, 2))
    assert layers_of(network) == [
        Layer("0.0.weight", "0.0.bias", 4, 20, relu=True),
        Layer("2.weight", None, 20, 6),
        Layer("3.weight", "3.bias", 6, 2),
    ]


class ByHand(nn.Module):
    """What many people write."""

    def __init__(self, twist=""):
        super().__init__()
        self.head, self.first, self.second = nn.Linear(5, 2), nn.Linear(4, 6), nn.Linear(6, 5)
        self.twist = twist

    def forward(self, inputs):
        hidden = torch.relu(self.first(inputs))
        hidden = nn.functional.relu(self.second(hidden), inplace=True)
        if self.twist == "residual":
            hidden = hidden + inputs.sum()
        if self.twist == "branch" and hidden.sum() > 0:
            hidden = 2 * hidden
        if self.twist == "scale":
            return 2 * self.head(hidden)
        if self.twist == "skip":
            return self.head(inputs)
        return self.head(hidden).relu() if self.twist == "method" else self.head(hidden)


def test_layers_of_a_forward_pass_by_hand_are_in_its_order():
    assert layers_of(ByHand()) == [
        Layer("first.weight", "first.bias", 4, 6, relu=True),
        Layer("second.weight", "second.bias", 6, 5, relu=True),
        Layer("head.weight", "head.bias", 5, 2),
    ]


@pytest.mark.parametrize("twist", ["residual", "branch", "scale", "skip"])
def test_forward_passes_that_do_more_are_refused(twist):
    assert layers_of(ByHand(twist)) == "native takes Linear and ReLU layers, one after another, only"


def test_a_relu_at_the_end_is_refused():
    assert layers_of(ByHand("method")) == "native takes networks that end with a Linear layer only"
