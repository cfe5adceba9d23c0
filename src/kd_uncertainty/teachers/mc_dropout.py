"""Monte Carlo dropout: one network, a posterior over which of its units are there (Gal & Ghahramani 2016)."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import build_network, import_network
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions
from kd_uncertainty.typed import Fraction


class Options(TeacherOptions):
    """How many units are dropped."""

    kind: Literal["mc_dropout"] = "mc_dropout"
    rate: Fraction = 0.2


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train one network with dropout on the training labels."""
    arguments = _with_dropout(problem.network, options.rate)
    network = build_network(problem.network.class_path, arguments, problem.inputs.shape[1], problem.num_classes)
    if not _dropout_layers(network):
        raise UserError(
            f"network class '{problem.network.class_path}': has no nn.Dropout layer, so mc_dropout has nothing to "
            "draw; add one, or give the class a `dropout` argument (and a hidden layer to apply it to)"
        )
    return fit_members(problem, arguments, 1, seed)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw dropout masks; draw ``j`` applies one mask, keyed by ``(seed, j, layer)``, to all examples.

    One mask for all examples makes a draw a function, a sample of the weight posterior, rather than noise that is
    independent from example to example; each example's marginal distribution is the same.

    Returns:
        ``(draws, examples, classes)``.
    """
    assert isinstance(teacher.options, Options)
    arguments = _with_dropout(teacher.network, teacher.options.rate)
    network = build_network(teacher.network.class_path, arguments, teacher.num_inputs, teacher.num_classes).eval()
    weights = {name: value[0].to(inputs.device, copy=True) for name, value in teacher.parameters.items()}
    inputs = inputs.clone()  # at an address of torch's own, on which rounding may depend
    masks = _Masks(network, seed)
    with torch.no_grad(), reproducible(inputs.device), masks:
        return torch.stack([functional_call(network, weights, (inputs,)) for _ in masks.each(draws)])


def _with_dropout(network: NetworkOptions, rate: float) -> dict[str, Any]:
    """The network's arguments, with the rate where its class takes ``dropout``."""
    accepts = inspect.signature(import_network(network.class_path)).parameters
    return {**network.arguments, "dropout": rate} if "dropout" in accepts else dict(network.arguments)


def _dropout_layers(network: nn.Module) -> list[nn.Dropout]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Dropout) and layer.p > 0]


class _Masks:
    """Replaces the (inactive) dropout layers' output by a masked input while it is entered."""

    def __init__(self, network: nn.Module, seed: int) -> None:
        self.layers, self.seed, self.draw = _dropout_layers(network), seed, 0

    def each(self, draws: Sequence[int]) -> Any:
        for self.draw in draws:
            yield self.draw

    def __enter__(self) -> None:
        self.handles = [layer.register_forward_hook(self._mask(index)) for index, layer in enumerate(self.layers)]

    def __exit__(self, *_: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _mask(self, index: int) -> Any:
        def hook(layer: nn.Dropout, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            # Generated on the CPU whatever the device, so that the draw does not depend on the device.
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "mask", self.draw, index))
            keep = torch.rand(output.shape[1:], generator=generator) >= layer.p
            return arguments[0] * (keep / (1.0 - layer.p)).to(output)

        return hook
