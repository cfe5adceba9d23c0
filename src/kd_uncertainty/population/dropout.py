"""Dropout whose masks are a pure function of the student's order seed, the layer and the step.

The masks of ``nn.Dropout`` come from one generator, so that under ``torch.func.vmap`` a student's masks change with its
neighbours. Here each word of a mask has its own place in a counter-based stream (see ``counter``), so that a student
drops the same units alone and among others, on any backend and device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from kd_uncertainty.population.contract import State
from kd_uncertainty.population.counter import DROPOUT, as_seeds, philox_words, philox_words_torch

Layers = Mapping[str, "CounterDropout"]
"""Dropout layers of a network by name."""


class CounterDropout(nn.Dropout):
    """Elementwise dropout (Srivastava et al. 2014) with counter-based masks, for one network or for many, stacked.

    In training mode element ``w`` of a student's batch, in row-major order, is kept if word ``w`` of the student's
    stream ``(layer << 32) | step`` is at least ``p 2^32``, and then multiplied by ``1 / (1 - p)``. A layer that is
    called again within a step, as a shared one is, takes the streams of layers beyond the last: the ``i``-th call those
    of layer ``layer + i layers``.

    Attributes:
        layer: position among the network's dropout layers.
        layers: how many of them there are.
        key: buffer () or (students,), int64, the bits of the order seeds. With a students axis, so have the inputs.
        step: buffer (), int64, the optimiser step.
    """

    layer: int
    layers: int
    calls: int
    key: Tensor
    step: Tensor

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the inputs with some of them zero, in training mode; else the inputs.

        Raises:
            RuntimeError: if called in a backward pass, where a mask cannot tell which call of its layer it repeats.
        """
        if not self.training or self.p == 0:
            return inputs
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError("dropout cannot be computed again for the backward pass; do without checkpointing")
        layer = self.layer + self.layers * self.calls
        self.calls += 1
        count = inputs.numel() // max(self.key.numel(), 1)
        mask: Tensor = _Mask.apply(self.key, self.step, layer, self.p, count)  # type: ignore[no-untyped-call]
        return inputs * mask.view(inputs.shape).to(inputs.dtype)


def with_counter_dropout(network: nn.Module) -> nn.Module:
    """Turn every ``nn.Dropout`` of a network into a :class:`CounterDropout`, in place, and return the network.

    The modules stay the same objects, so that whatever refers to them follows. Other kinds of dropout, such as
    ``nn.Dropout2d`` or subclasses, are left as they are.
    """
    layers = [module for module in network.modules() if type(module) is nn.Dropout]
    for layer, module in enumerate(layers):
        module.__class__ = CounterDropout  # as torch's own parametrizations do
        vars(module).update(layer=layer, layers=len(layers), calls=0)
        module.register_buffer("key", torch.zeros((), dtype=torch.int64), persistent=False)
        module.register_buffer("step", torch.zeros((), dtype=torch.int64), persistent=False)
    return network


def dropout_layers(network: nn.Module) -> Layers:
    """Return the layers of a network that drop by counter, by name."""
    return {name: module for name, module in network.named_modules() if isinstance(module, CounterDropout)}


def dropout_keys(order_seeds: Sequence[int], device: torch.device) -> Tensor:
    """Return the keys of these students' masks, (students,) int64."""
    return torch.from_numpy(as_seeds(order_seeds).view(np.int64)).to(device)


def set_keys(layers: Layers, keys: Tensor) -> None:
    """Let the masks be those of these students: () for one, (students,) for stacked inputs.

    Under ``vmap`` hand the keys to ``functional_call`` instead, as :func:`named_keys`.
    """
    for layer in layers.values():
        layer.key = keys.detach()  # an object of its own, since functional_call takes equal ones for tied


def named_keys(layers: Layers, keys: Tensor) -> State:
    """Return the keys by the name of each buffer that takes them."""
    return {f"{name}.key".lstrip("."): keys for name in layers}


def set_step(layers: Layers, step: int | Tensor) -> None:
    """Let the masks be those of an optimiser step, counted from 0; needed before every forward pass.

    Args:
        layers: the network's dropout layers.
        step: a number, or a tensor () on their device, which the host then does not read.
    """
    for layer in layers.values():
        layer.step.fill_(step)
        layer.calls = 0


class _Mask(torch.autograd.Function):
    """Keys (...,) and step () to masks (..., count) of zeros and 1 / (1 - p).

    A function of autograd only because such functions may say what ``vmap`` does with them: here all masks in one go.
    """

    @staticmethod
    def forward(keys: Tensor, step: Tensor, layer: int, p: float, count: int) -> Tensor:
        kept = (_kept_by_numpy if keys.device.type == "cpu" else _kept_by_torch)(keys, step, layer, p, count)
        return kept.view(*keys.shape, count).to(torch.float32).mul_(1 / (1 - p) if p < 1 else 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, ...]:
        return None, None, None, None, None

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, ...], keys: Tensor, step: Tensor, layer: int, p: float, count: int
    ) -> tuple[Tensor, int]:
        if in_dims[0] is None or in_dims[1] is not None:
            raise ValueError("masks need one key for each student, and one step for all")
        return _Mask.apply(keys.movedim(in_dims[0], 0), step, layer, p, count), 0  # type: ignore[no-untyped-call]


def _kept_by_numpy(keys: Tensor, step: Tensor, layer: int, p: float, count: int) -> Tensor:
    """Return which elements are kept; fast, but the host has to know the step."""
    words = philox_words(keys.reshape(-1).numpy().view(np.uint64), (layer << 32) | int(step), DROPOUT, count)
    return torch.from_numpy(words >= round(p * 2**32))


def _kept_by_torch(keys: Tensor, step: Tensor, layer: int, p: float, count: int) -> Tensor:
    return philox_words_torch(keys, (layer << 32) | step, DROPOUT, count) >= round(p * 2**32)
