"""Which layers a network applies, one after another, however its forward pass is written."""

from __future__ import annotations

import copy
import random
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.fx import Graph, Tracer
from torch.nn import functional

from kd_uncertainty.population.dropout import CounterDropout

Kinds = tuple[type[nn.Module], ...]

_MODULE_OF: dict[Any, type[nn.Module]] = {
    **dict.fromkeys(["relu", "relu_", torch.relu, torch.relu_, functional.relu], nn.ReLU),
    **dict.fromkeys(["tanh", torch.tanh], nn.Tanh),
    **dict.fromkeys(["sigmoid", torch.sigmoid], nn.Sigmoid),
    functional.silu: nn.SiLU,
    functional.gelu: nn.GELU,
}
"""Functions and methods of tensors, and the modules that compute the same."""


def chain_of(network: nn.Module, known: Kinds) -> list[nn.Module] | None:
    """Return the layers in the order of the forward pass in training mode, or None if it does anything else.

    What counts is what the forward pass does, not how it is written: it is traced symbolically, on a copy. None is the
    answer too where applying the layers is not all there is to it: with hooks, a ``forward`` of a module's own,
    parameters of no layer, or random numbers.

    Args:
        network: a network; left as found.
        known: the types of layer that may occur, of which Linear alone has parameters; subclasses count as others.
    """
    if any(_is_tampered_with(module) for module in network.modules()):
        return None
    if any(parameter._backward_hooks for parameter in network.parameters()):
        return None
    layers = _sequence(network, known) or _traced(network, known)
    if layers is None:
        return None
    used = {
        id(parameter) for layer in layers if isinstance(layer, nn.Linear) for parameter in (layer.weight, layer.bias)
    }
    return layers if all(id(parameter) in used for parameter in network.parameters()) else None


def _is_tampered_with(module: nn.Module) -> bool:
    hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks, module._backward_pre_hooks)
    return any(hooks) or "forward" in vars(module)


def _sequence(network: nn.Module, known: Kinds) -> list[nn.Module] | None:
    """Return the layers of a plain sequence of known ones, or None; much sooner than :func:`_traced`."""
    if type(network) in known:
        return [network]
    if not isinstance(network, nn.Sequential) or type(network).forward is not nn.Sequential.forward:
        return None
    layers: list[nn.Module] = []
    for child in network:  # unlike children(), this repeats a layer that is used twice
        inner = _sequence(child, known)
        if inner is None:
            return None
        layers += inner
    return layers


class _Tracer(Tracer):
    """Looks into all modules but torch's own, and dropout by counter, which was torch's."""

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, CounterDropout) or super().is_leaf_module(module, name)


def _traced(network: nn.Module, known: Kinds) -> list[nn.Module] | None:
    graph = _trace(network)
    if graph is None:
        return None
    layers: list[nn.Module] = []
    for previous, node in pairwise(graph.nodes):
        if node.args != (previous,) or set(node.kwargs) - {"inplace"}:
            return None
        if node.op == "call_module":
            layers.append(network.get_submodule(str(node.target)))
        elif node.op in ("call_function", "call_method") and node.target in _MODULE_OF:
            layers.append(_MODULE_OF[node.target]())
        elif node.op != "output":
            return None
    return layers if all(type(layer) in known for layer in layers) else None


def _trace(network: nn.Module) -> Graph | None:
    """Return what the forward pass does, or None if that cannot be told."""
    state, python_state = torch.random.get_rng_state(), random.getstate()
    try:
        graph = _Tracer().trace(copy.deepcopy(network).train())
        pure = torch.equal(torch.random.get_rng_state(), state) and random.getstate() == python_state
    except Exception:  # whatever a user's forward pass raises when it is given a symbol
        return None
    finally:
        torch.random.set_rng_state(state)
        random.setstate(python_state)
    return graph if pure else None  # one that draws lots may do something else next time
