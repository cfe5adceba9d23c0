"""Between a network's parameters by name and the kernel's memory, in which a student's state is one row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from kd_uncertainty.population.contract import State
from kd_uncertainty.population.layers import chain_of

_LANES = 16  # floats that rows are padded to
_PANEL = 64  # columns of a panel
_KNOWN = (nn.Linear, nn.ReLU, nn.Identity)


@dataclass(frozen=True)
class Layer:
    """A Linear layer: names of its parameters, its sizes, and whether a ReLU follows."""

    weight: str
    bias: str | None
    inputs: int
    outputs: int
    relu: bool = False

    @property
    def padded(self) -> int:
        """Outputs, rounded up to whole vectors."""
        return -(-self.outputs // _LANES) * _LANES

    @property
    def size(self) -> int:
        """Floats that its parameters take in the kernel's memory."""
        return (self.inputs + 1) * self.padded


def layers_of(network: nn.Module) -> list[Layer] | str:
    """Return the network as the kernel sees it, or a clause that says why the kernel cannot train it."""
    modules = chain_of(network, _KNOWN)
    if modules is None:
        return "native takes Linear and ReLU layers, one after another, only"
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    layers: list[Layer] = []
    for module in modules:
        if isinstance(module, nn.Linear):
            bias = None if module.bias is None else names[id(module.bias)]
            layers.append(Layer(names[id(module.weight)], bias, module.in_features, module.out_features))
        elif isinstance(module, nn.ReLU) and layers:
            layers[-1] = replace(layers[-1], relu=True)
        elif isinstance(module, nn.ReLU):
            return "native takes networks that begin with a Linear layer only"
    used = [name for layer in layers for name in (layer.weight, layer.bias) if name]
    if len(set(used)) < len(used):
        return "native takes no layers that share parameters"
    if any(parameter.dtype != torch.float32 for parameter in network.parameters()):
        return "native takes float32 parameters only"
    if not layers or layers[-1].relu:
        return "native takes networks that end with a Linear layer only"
    return layers


def pack(state: State, layers: Sequence[Layer], slots: int) -> Tensor:
    """Return the kernel's memory (students, slots, floats): parameters in the first slot, zeros in the others.

    Args:
        state: parameters by name, stacked (students, ...).
        layers: from :func:`layers_of`.
        slots: one, and one more for each moment of the optimiser.
    """
    students = len(state[layers[0].weight])
    memory = torch.zeros((students, slots, sum(layer.size for layer in layers)))
    for layer, columns, panel in _panels(memory[:, 0], layers):
        panel[:, :-1] = state[layer.weight][:, columns].transpose(1, 2)
        if layer.bias is not None:
            panel[:, -1] = state[layer.bias][:, columns]
    return memory


def unpack(memory: Tensor, layers: Sequence[Layer], into: State) -> None:
    """Write the parameters in the kernel's memory back to tensors (students, ...) by name."""
    for layer, columns, panel in _panels(memory[:, 0], layers):
        into[layer.weight][:, columns] = panel[:, :-1].transpose(1, 2)
        if layer.bias is not None:
            into[layer.bias][:, columns] = panel[:, -1]


def _panels(memory: Tensor, layers: Sequence[Layer]) -> Iterator[tuple[Layer, slice, Tensor]]:
    """Yield each panel of each layer: the layer, the outputs in it, and its view (students, inputs + 1, outputs)."""
    start = 0
    for layer in layers:
        for column in range(0, layer.padded, _PANEL):
            width = min(_PANEL, layer.padded - column)
            outputs = slice(column, min(column + width, layer.outputs))
            rows = memory[:, start : start + (layer.inputs + 1) * width]
            view = rows.view(len(memory), layer.inputs + 1, width)
            yield layer, outputs, view[:, :, : outputs.stop - outputs.start]
            start += (layer.inputs + 1) * width
