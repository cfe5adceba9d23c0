"""Stacks of Linear layers and elementwise functions, for all students at once and in the very bits of one alone.

``torch.func.vmap`` turns each student's ``addmm`` into one batched product and an addition. On the CPU that is not
always the same arithmetic. Found by trying 4,000 shapes against ``nn.Linear`` and its gradients (torch 2.13, MKL):

- MKL rounds differently when a matrix does not start at a multiple of 64 bytes, as the second student's does in
  most stacks. So every student's matrix is laid out to start at one (padding between students, if needed).
- Adding the bias after the product differs from starting the sum with it, once a sum is longer than about 300
  terms. So the output starts as the bias, and the product is accumulated on top, as ``addmm`` does.
- Torch computes batched products below 400 multiplications by a loop of its own, and MKL takes another path for a
  vector than for a matrix. So products that small or that thin are done student by student.

With these three, all shapes agree bit for bit, whatever the number of students.

Functions such as ``tanh`` round differently in the vectorised part of an array and in what is left at its end, so that
a student's values would depend on its place among the others. On the CPU they are done student by student.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from kd_uncertainty.population.contract import State
from kd_uncertainty.population.dropout import CounterDropout
from kd_uncertainty.population.layers import chain_of

Forward = Callable[[State, Tensor], Tensor]

_ALIGNMENT = 16  # floats; 64 bytes
_SMALLEST_BATCHED = 400  # multiplications; torch's own threshold

_EXACT = (nn.ReLU, nn.LeakyReLU, nn.ReLU6, nn.Hardtanh, nn.Threshold, nn.Hardshrink, nn.Identity)
"""Functions without rounding, or with a single one: they cannot depend on where in memory an element lies."""

_INEXACT = (
    *(nn.Tanh, nn.Sigmoid, nn.LogSigmoid, nn.Softplus, nn.Softsign, nn.Softshrink, nn.Tanhshrink),
    *(nn.GELU, nn.SiLU, nn.Mish, nn.ELU, nn.CELU, nn.SELU, nn.Hardswish, nn.Hardsigmoid),
)
"""The other elementwise functions without parameters."""

_KNOWN = (nn.Linear, *_EXACT, *_INEXACT)


def is_stack(network: nn.Module) -> bool:
    """Return whether there is a :func:`stacked_forward` once the network's dropout is by counter."""
    return chain_of(network, (*_KNOWN, nn.Dropout, CounterDropout)) is not None


def stacked_forward(network: nn.Module) -> Forward | None:
    """Return the network as a function of stacked state and inputs, or None if it is not such a stack of layers.

    The function maps parameters (students, ...) and inputs (students, examples, features) to logits
    (students, examples, classes). It takes every bit from the student's own row, on the CPU.
    """
    layers = chain_of(network, (*_KNOWN, CounterDropout))
    if layers is None:
        return None
    names = {id(parameter): name for name, parameter in network.named_parameters()}

    def forward(state: State, values: Tensor) -> Tensor:
        for layer in layers:
            if isinstance(layer, nn.Linear):
                bias = None if layer.bias is None else state[names[id(layer.bias)]]
                values = _StackedLinear.apply(values, state[names[id(layer.weight)]], bias)  # type: ignore[no-untyped-call]
            else:
                values = _elementwise(layer, values)
        return values

    return forward


def _elementwise(layer: nn.Module, values: Tensor) -> Tensor:
    if type(layer) in _INEXACT and values.device.type == "cpu":
        return torch.stack([_on_a_copy(layer, one) for one in values])
    return _on_a_copy(layer, values)


def _on_a_copy(layer: nn.Module, values: Tensor) -> Tensor:
    """Return the layer's values: of a copy if it works in place, in which some backward formulas differ."""
    result: Tensor = layer(values.clone() if getattr(layer, "inplace", False) else values)
    return result


class _StackedLinear(torch.autograd.Function):
    """``inputs @ weight^T + bias`` for each student: (s, n, i), (s, o, i), (s, o) to (s, n, o)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        inputs, weight = aligned(inputs), aligned(weight)
        ctx.save_for_backward(inputs, weight)
        ctx.has_bias = bias is not None
        return _product(inputs, weight.transpose(1, 2), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs, weight = ctx.saved_tensors
        gradient = aligned(gradients[0])
        return (
            _input_gradient(gradient, weight) if ctx.needs_input_grad[0] else None,
            _product(gradient.transpose(1, 2), inputs),
            gradient.sum(1) if ctx.has_bias else None,
        )


def _input_gradient(gradient: Tensor, weight: Tensor) -> Tensor:
    """Return ``gradient @ weight``; single numbers as autograd finds them, which takes (1, 1) for transposed."""
    if gradient.shape[1] == weight.shape[2] == 1:
        return _product(weight.transpose(1, 2), gradient.transpose(1, 2))
    return _product(gradient, weight)


def _product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return ``left @ right`` (+ bias) for each student, in the bits of a single product."""
    students, rows, inner = left.shape
    columns = right.shape[2]
    result = _aligned_empty(students, rows, columns, left)
    large = min(rows, inner, columns) > 1 and rows * inner * columns >= _SMALLEST_BATCHED
    if large or left.device.type != "cpu":
        if bias is None:
            return torch.bmm(left, right, out=result)
        return result.copy_(bias.unsqueeze(1)).baddbmm_(left, right)
    if bias is None:
        for one, one_left, one_right in zip(result, left, right, strict=True):
            torch.mm(one_left, one_right, out=one)
        return result
    for one, one_left, one_right, one_bias in zip(result, left, right, bias, strict=True):
        torch.addmm(one_bias, one_left, one_right, out=one)
    return result


def aligned(stack: Tensor) -> Tensor:
    """Return the stack (students, rows, columns) with every student's matrix contiguous and starting at 64 bytes."""
    rows, columns = stack.shape[1:]
    dense = stack.stride(2) == 1 and stack.stride(1) == columns
    if dense and stack.stride(0) % _ALIGNMENT == 0 and stack.data_ptr() % (4 * _ALIGNMENT) == 0:
        return stack
    return _aligned_empty(len(stack), rows, columns, stack).copy_(stack)


def _aligned_empty(students: int, rows: int, columns: int, like: Tensor) -> Tensor:
    size = rows * columns
    if size % _ALIGNMENT == 0:
        return like.new_empty((students, rows, columns))
    padded = -(-size // _ALIGNMENT) * _ALIGNMENT
    return like.new_empty((students, padded))[:, :size].view(students, rows, columns)
