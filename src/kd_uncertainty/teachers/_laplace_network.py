"""A trained network as a function of some of its parameters, linearised at their trained values, in float64.

Parameters are one vector of length P, in blocks: weight and bias of a Linear layer together, as ``[weight | bias]``
row by row, and every other parameter on its own.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, jacrev, vmap

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks.build import build_network, describe_error
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import State


class Block(NamedTuple):
    """Parameters that belong together.

    Attributes:
        layer: name of the Linear layer, or None.
        names: of the parameters; of a Linear layer the weight, then the bias if there is one.
        shape: (rows, columns), one row for each of the layer's outputs.
    """

    layer: str | None
    names: tuple[str, ...]
    shape: tuple[int, int]


@dataclass(frozen=True)
class LinearisedNetwork:
    """The network ``f(x; theta)`` in evaluation mode, with derivatives at the trained ``theta*``.

    Attributes:
        network: a module, whose own tensors are not used.
        state: all parameters and buffers as trained, float64.
        blocks: the parameters that the posterior is over, in the order of the vector.
        name: import path of the network, for messages.
    """

    network: nn.Module
    state: State
    blocks: tuple[Block, ...]
    name: str

    @property
    def mode(self) -> Tensor:
        """``theta*``, (P,)."""
        return self.flatten({name: self.state[name] for block in self.blocks for name in block.names})

    @property
    def sizes(self) -> list[int]:
        """Parameters of each block; their sum is P."""
        return [rows * columns for rows, columns in (block.shape for block in self.blocks)]

    def flatten(self, values: State) -> Tensor:
        """Join parameters, each with the same leading axes, into vectors (..., P)."""
        pieces = [
            _join([values[name] for name in block.names], self.state[block.names[0]].dim()) for block in self.blocks
        ]
        return torch.cat(pieces, dim=-1)

    def unflatten(self, vector: Tensor) -> State:
        """Cut a vector (P,) into parameters by name."""
        parameters: State = {}
        for block, piece in zip(self.blocks, torch.split(vector, self.sizes), strict=True):
            matrix, shape = piece.view(block.shape), self.state[block.names[0]].shape
            if len(block.names) == 2:
                parameters |= {block.names[0]: matrix[:, :-1], block.names[1]: matrix[:, -1]}
            else:
                parameters[block.names[0]] = matrix.reshape(shape)
        return parameters

    def logits(self, inputs: Tensor) -> Tensor:
        """``f(x; theta*)``, (examples, outputs) float64."""
        with self._naming(), torch.no_grad():
            return self.call(inputs.double())

    def jacobians(self, inputs: Tensor) -> Tensor:
        """``d f(x; theta) / d theta`` at ``theta*``, (examples, outputs, P)."""

        def one(parameters: State, example: Tensor) -> Tensor:
            return self.call(example.unsqueeze(0), parameters).squeeze(0)

        with self._naming():
            slopes = vmap(jacrev(one), in_dims=(None, 0))(self.unflatten(self.mode), inputs.double())
        return self.flatten(slopes).detach()

    def along(self, inputs: Tensor, directions: Sequence[Tensor]) -> Tensor:
        """``f(x; theta*) + J(x) direction`` for each direction (P,): (directions, examples, outputs).

        ``J(x) d`` is the derivative in u of ``(u J(x)) d``, two backward passes in place of a forward one, which torch
        compiles for many seconds first. Each direction is a computation of its own, whatever the others are.
        """
        with self._naming(), torch.enable_grad():
            point = {name: values.detach().requires_grad_() for name, values in self.unflatten(self.mode).items()}
            logits = self.call(inputs.double(), point)
            probe = torch.zeros_like(logits, requires_grad=True)
            slopes = torch.autograd.grad(logits, list(point.values()), probe, create_graph=True)
            results = [logits.detach() + self._push(slopes, probe, list(point), one) for one in directions]
        return torch.stack(results)

    def _push(self, slopes: Sequence[Tensor], probe: Tensor, names: list[str], direction: Tensor) -> Tensor:
        parameters = self.unflatten(direction)
        return torch.autograd.grad(slopes, probe, [parameters[name] for name in names], retain_graph=True)[0]

    def call(self, inputs: Tensor, parameters: State | None = None) -> Tensor:
        """``f(x; theta)``, (examples, outputs), with some parameters in place of the trained ones; inputs float64."""
        return torch.as_tensor(functional_call(self.network, {**self.state, **(parameters or {})}, (inputs,)))

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # whatever torch.func or a user's network raises
            raise UserError(
                f"network class '{self.name}': a laplace teacher cannot differentiate it with torch.func in float64: "
                f"{describe_error(error)}; choose another kind of teacher"
            ) from error


def linearised_network(
    options: NetworkOptions, num_inputs: int, num_classes: int, state: State, *, last: bool
) -> LinearisedNetwork:
    """Build the network that ``state`` (parameters and buffers of one network) belongs to.

    Args:
        options: its class and arguments.
        num_inputs: features of an example.
        num_classes: logits of an example.
        state: on the device to compute on.
        last: whether the posterior is over the last layer alone: the Linear layer whose output is the logits.

    Raises:
        UserError: if there is no such layer, or the network fails in float64.
    """
    device = next(iter(state.values())).device
    network = build_network(options.class_path, options.arguments, num_inputs, num_classes).to(device).double().eval()
    double = {name: values.double() if values.is_floating_point() else values for name, values in state.items()}
    linearised = LinearisedNetwork(network, double, _blocks(network), options.class_path)
    if not last:
        return linearised
    layer = _last_layer(linearised, num_inputs, device)
    blocks = tuple(block for block in linearised.blocks if layer is not None and block.layer == layer)
    if not blocks:
        raise UserError(
            f"network class '{options.class_path}': its logits are not the output of an nn.Linear layer that is "
            "trained, so laplace has no last layer; set layers: all"
        )
    return LinearisedNetwork(network, double, blocks, options.class_path)


def _blocks(network: nn.Module) -> tuple[Block, ...]:
    """Return all trained parameters in blocks, in the network's order."""
    trained = {name: values for name, values in network.named_parameters() if values.requires_grad}
    layer_of: dict[str, tuple[str, ...]] = {}
    for layer, module in network.named_modules():
        names = tuple(name for name in (f"{layer}.weight".lstrip("."), f"{layer}.bias".lstrip(".")) if name in trained)
        if _is_linear(module) and names and names[0].endswith("weight"):
            layer_of |= dict.fromkeys(names, (layer, *names))
    blocks: dict[tuple[str, ...], Block] = {}
    for name, values in trained.items():
        if name in layer_of:
            layer, *parts = layer_of[name]
            rows, columns = trained[parts[0]].shape
            blocks.setdefault(layer_of[name], Block(layer, tuple(parts), (rows, columns + len(parts) - 1)))
        else:
            blocks[name,] = Block(None, (name,), (1, values.numel()))
    return tuple(blocks.values())


def _is_linear(module: nn.Module) -> bool:
    """Whether a module computes what ``nn.Linear`` does, rather than something of its own."""
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def _join(values: list[Tensor], dimensions: int) -> Tensor:
    """Return a block as vectors (..., its size), from parameters of which the first has this many axes of its own."""
    first = values[0]
    if len(values) == 2:
        first = torch.cat([first, values[1].unsqueeze(-1)], dim=-1)
    return first.flatten(first.dim() - dimensions) if dimensions else first.unsqueeze(-1)


def _last_layer(linearised: LinearisedNetwork, num_inputs: int, device: torch.device) -> str | None:
    """Return the name of the Linear layer whose output is what the network returns."""
    outputs: dict[str, list[Tensor]] = {}

    def hook_of(name: str) -> Any:
        return lambda module, arguments, output: outputs.setdefault(name, []).append(output)

    linear = [(name, module) for name, module in linearised.network.named_modules() if _is_linear(module)]
    handles = [module.register_forward_hook(hook_of(name)) for name, module in linear]
    probe = torch.linspace(-1.0, 1.0, 2 * num_inputs, dtype=torch.float64, device=device).view(2, num_inputs)
    try:
        logits = linearised.logits(probe)
    finally:
        for handle in handles:
            handle.remove()
    once = [name for name, results in outputs.items() if len(results) == 1 and torch.equal(results[0], logits)]
    return once[-1] if once else None
