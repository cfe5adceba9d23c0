r"""Convergence noise: how far a student still moves at the end of its training, in several definitions.

"Noise of convergence" has no one definition, and none is preferred here:

- the standard deviation over the last evaluations of a curve, which counts what is still being learnt as noise;
- that of the differences from evaluation to evaluation, over sqrt 2: the same for independent fluctuations about a
  constant, and blind to a steady trend;
- the variance of the single-example gradient at the point that was reached, ``E_i ||g_i||^2 - ||E_i g_i||^2``, which is
  what keeps SGD from settling (arXiv 2601.01484).

All are per student; intervals are over students.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap

from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.native.packing import Layer, layers_of
from kd_uncertainty.threads import in_order

Floats = NDArray[np.float64]

LEAST_EVALUATIONS = 3
"""Fewer have no standard deviation of differences."""

_BLOCK = 1024
"""Examples of a pass through a stack of layers; fixed, because sums over other blocks round differently."""
_FEW = 32
"""Examples whose whole gradients are held at once."""


def tail_length(evaluations: int, share: float) -> int:
    """Return how many of the evaluations are the last ``share`` of them, rounded up."""
    return math.ceil(round(share * evaluations, 9))


def tail_mean(curves: Floats, share: float) -> Floats:
    """Mean over the last evaluations of each curve, (students,): what is left of a figure without the last step's luck.

    Args:
        curves: (students, evaluations).
        share: which of the evaluations are the last ones.
    """
    return np.asarray(_tail(curves, share).mean(axis=1))


def tail_std(curves: Floats, share: float) -> Floats:
    """Standard deviation (ddof 1) over the last evaluations of each curve, (students,).

    Args:
        curves: (students, evaluations).
        share: which of the evaluations are the last ones.
    """
    return np.asarray(_tail(curves, share).std(axis=1, ddof=1))


def step_std(curves: Floats, share: float) -> Floats:
    """Standard deviation (ddof 1) of differences between neighbouring evaluations over sqrt 2, (students,).

    Args:
        curves: (students, evaluations).
        share: as in :func:`tail_std`.
    """
    return np.asarray(np.diff(_tail(curves, share), axis=1).std(axis=1, ddof=1) / math.sqrt(2.0))


def _tail(curves: Floats, share: float) -> Floats:
    length = tail_length(curves.shape[1], share)
    if length < LEAST_EVALUATIONS:
        raise ValueError(f"the last {share} of {curves.shape[1]} evaluations are fewer than {LEAST_EVALUATIONS}")
    return np.asarray(curves[:, -length:], dtype=np.float64)


def gradient_variances(
    build: Build, parameters: State, inputs: Tensor, target_of: Callable[[int], Tensor], threads: int = 1
) -> Floats:
    r"""Return ``E_i ||g_i||^2 - ||E_i g_i||^2`` of every student, (students,), in nats^2 per unit of parameter squared.

    ``g_i`` is the gradient of the cross-entropy ``CE(target_i, softmax(f(x_i)))`` by all parameters, in float64 and
    with dropout off; E_i is the mean over the given examples. For Linear and ReLU layers one after another, per-example
    norms are sums over layers of ``||delta_i||^2 (||a_i||^2 + 1)``, with inputs a and the gradient delta of outputs
    (Goodfellow 2015, arXiv 1510.01799); other networks' gradients are formed a few examples at a time.

    Args:
        build: builds one network.
        parameters: parameters and buffers, stacked (students, ...).
        inputs: (examples, features).
        target_of: from a student's position to its targets (examples, classes), which sum to 1.
        threads: over students; no result depends on them.
    """
    with reproducible(torch.device("cpu")):
        network = build().double().eval()
    layers = layers_of(build())
    exact = inputs.double()

    def variance(student: int) -> float:
        state = {name: values[student] for name, values in parameters.items()}
        state = {name: values.double() if values.is_floating_point() else values for name, values in state.items()}
        target = target_of(student).double()
        if isinstance(layers, str):
            return _any_network(network, state, exact, target).variance
        return _stack(layers, state, exact, target).variance

    students = range(len(next(iter(parameters.values()))))
    with torch.no_grad(), reproducible(torch.device("cpu")):
        # functional_call lends a student's parameters to the one network, so others take turns.
        return np.array(list(in_order(variance, students, 1 if isinstance(layers, str) else threads)))


class _Moments(NamedTuple):
    """Sums over examples: of squared norms (), and of gradients, flat (parameters,)."""

    squares: Tensor
    gradient: Tensor
    examples: int

    @property
    def variance(self) -> float:
        mean = self.gradient / self.examples
        return max(float(self.squares / self.examples - mean @ mean), 0.0)  # rounding leaves no negative variance


def _stack(layers: Sequence[Layer], state: State, inputs: Tensor, targets: Tensor) -> _Moments:
    squares = torch.zeros((), dtype=torch.float64)
    sums = [torch.zeros(layer.outputs, layer.inputs + 1, dtype=torch.float64) for layer in layers]
    for start in range(0, len(inputs), _BLOCK):
        some = slice(start, start + _BLOCK)
        squares += _add_block(layers, state, inputs[some], targets[some], sums)
    return _Moments(squares, torch.cat([one.flatten() for one in sums]), len(inputs))


def _add_block(layers: Sequence[Layer], state: State, inputs: Tensor, targets: Tensor, sums: list[Tensor]) -> Tensor:
    """Add the block's gradients to ``sums``, weights and bias side by side; return the sum of squared norms."""
    reached = [inputs]
    for layer in layers:
        outputs = reached[-1] @ state[layer.weight].T
        outputs = outputs if layer.bias is None else outputs + state[layer.bias]
        reached.append(outputs.relu() if layer.relu else outputs)
    delta = torch.softmax(reached[-1], -1) - targets
    squares = torch.zeros(len(inputs), dtype=torch.float64)
    for position in range(len(layers) - 1, -1, -1):
        layer, inner = layers[position], reached[position]
        biased = 0.0 if layer.bias is None else 1.0
        squares += delta.square().sum(1) * (inner.square().sum(1) + biased)
        sums[position][:, :-1] += delta.T @ inner
        sums[position][:, -1] += biased * delta.sum(0)
        if position:
            delta = delta @ state[layer.weight]
            delta = delta * (inner > 0.0) if layers[position - 1].relu else delta
    return squares.sum()


def _any_network(network: nn.Module, state: State, inputs: Tensor, targets: Tensor) -> _Moments:
    """Moments of whole gradients; for networks that ``torch.func`` understands."""
    names = [name for name, values in network.named_parameters() if values.requires_grad]
    trained = {name: state[name] for name in names}
    fixed = {name: values for name, values in state.items() if name not in trained}

    def loss(parameters: State, one: Tensor, target: Tensor) -> Tensor:
        logits = functional_call(network, fixed | parameters, (one.unsqueeze(0),))
        return -(target * torch.log_softmax(logits[0], -1)).sum()

    gradients = vmap(grad(loss), in_dims=(None, 0, 0))
    squares = torch.zeros((), dtype=torch.float64)
    total = torch.zeros(sum(values.numel() for values in trained.values()), dtype=torch.float64)
    for some in range(0, len(inputs), _FEW):
        found = gradients(trained, inputs[some : some + _FEW], targets[some : some + _FEW])
        flat = torch.cat([found[name].flatten(1) for name in names], dim=1)
        squares += flat.square().sum()
        total += flat.sum(0)
    return _Moments(squares, total, len(inputs))
