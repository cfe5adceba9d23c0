"""The generalised Gauss-Newton matrix of a network's log-likelihood, whole, as Kronecker products, or its diagonal.

``G = sum_n J_n' L_n J_n`` (P, P), with the Jacobian ``J_n`` (outputs, P) of example n and the curvature ``L_n`` of its
negative log-likelihood in the outputs: ``diag(p) - p p'`` for classes (so that G is also the Fisher matrix; Martens
2020, "New insights and perspectives on the natural gradient method", sections 8 and 9), the identity for numbers with
noise of variance 1. ``L = S S'`` with ``S = diag(sqrt p) - p sqrt(p)'``.

All three are described in one way: by eigenvalues (P,) and an orthogonal basis of their eigenvectors, which is a
Kronecker product in every block of parameters. So a prior precision adds to the eigenvalues, exactly:

- full: ``G = U diag(e) U'``;
- kron (KFAC; Martens & Grosse 2015, section 3): in the block ``[weight | bias]`` of each Linear layer
  ``B (x) A``, with ``B = sum_n sum_c g_nc g_nc'`` from the slopes ``g_nc`` of ``(S_n' f_n)_c`` in the layer's outputs
  and ``A = 1/N sum_n a_n a_n'`` from its inputs, extended by 1 for the bias; between layers 0;
- diag: the diagonal of G, in the parameters' own basis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Loss
from kd_uncertainty.teachers._laplace_network import LinearisedNetwork

Structure = Literal["full", "kron", "diag"]
"""How much of the curvature is kept."""

Rotation = tuple[Tensor, Tensor]
"""Orthogonal matrices U (rows, rows) and V (columns, columns) of a block: its eigenvectors are those of U (x) V."""

MOST_FULL_PARAMETERS = 4096
"""The most parameters that a full matrix is computed for: 128 MiB in float64, and a minute for its eigenvectors."""

_ELEMENTS = 1 << 22
"""Numbers in the Jacobians that are held at once, 32 MiB."""

_MOST_EXAMPLES = 256
"""The most examples that are computed at once, however few parameters there are."""


class Curvature(NamedTuple):
    """An eigendecomposition.

    Attributes:
        eigenvalues: (P,), none below 0.
        basis: a rotation for each block; none at all stands for the parameters' own basis.
    """

    eigenvalues: Tensor
    basis: tuple[Rotation, ...]


def curvature(network: LinearisedNetwork, inputs: Tensor, loss: Loss, structure: Structure) -> Curvature:
    """Return the curvature at the trained parameters over all examples, for noise of variance 1 if loss is "mse".

    Args:
        network: with the parameters that it is over.
        inputs: (examples, features).
        loss: "distillation" for classes, "mse" for numbers.
        structure: what is kept of it.

    Raises:
        UserError: if there are too many parameters for a full matrix, or a structure that the network does not have.
    """
    root = identity_root if loss == "mse" else softmax_root
    if structure == "kron":
        return _kronecker(network, inputs, root)
    size = len(network.mode)
    if structure == "full" and size > MOST_FULL_PARAMETERS:
        raise UserError(
            f"laplace: structure: full needs a matrix of {size} x {size} numbers, and {MOST_FULL_PARAMETERS} "
            "parameters are the most it is computed for; set structure: kron or diag, or layers: last"
        )
    shape = (size, size) if structure == "full" else (size,)
    total = torch.zeros(shape, dtype=torch.float64, device=inputs.device)
    for batch in torch.split(inputs, examples_at_once(network, inputs)):
        rows = (root(network.logits(batch)).mT @ network.jacobians(batch)).flatten(0, 1)
        total += rows.mT @ rows if structure == "full" else rows.square().sum(0)
    if structure == "diag":
        return Curvature(total, ())
    eigenvalues, vectors = torch.linalg.eigh(total)
    return Curvature(eigenvalues.clamp_min(0.0), ((vectors, torch.ones_like(vectors[:1, :1])),))


def softmax_root(logits: Tensor) -> Tensor:
    """Return S (examples, classes, classes) with ``S S' = diag(p) - p p'``, p the softmax of the logits."""
    probabilities = torch.softmax(logits, dim=-1)
    roots = probabilities.sqrt()
    return torch.diag_embed(roots) - probabilities.unsqueeze(-1) * roots.unsqueeze(-2)


def examples_at_once(network: LinearisedNetwork, inputs: Tensor, *, products: bool = False) -> int:
    """Return how many examples' Jacobians are held at once, or their factors; a function of the network alone."""
    outputs = network.logits(inputs[:1]).shape[-1]
    numbers = sum(block.shape[0] for block in network.blocks) if products else len(network.mode)
    return max(1, min(_MOST_EXAMPLES, _ELEMENTS // (outputs * numbers)))


def to_eigenbasis(basis: tuple[Rotation, ...], vectors: Tensor) -> Tensor:
    """Return the coordinates of vectors (..., P) in the basis: ``U' M V`` of every block ``M``."""
    if not basis:
        return vectors
    pieces = torch.split(vectors, [len(left) * len(right) for left, right in basis], dim=-1)
    turned = (
        # Many matrices times one, which torch does as one product; one times many would copy the one.
        ((piece.reshape(*piece.shape[:-1], len(left), len(right)) @ right).mT @ left).mT.flatten(-2)
        for (left, right), piece in zip(basis, pieces, strict=True)
    )
    return torch.cat(list(turned), dim=-1)


def from_eigenbasis(basis: tuple[Rotation, ...], vectors: Tensor) -> Tensor:
    """The inverse of :func:`to_eigenbasis`, ``U M V'``."""
    return to_eigenbasis(tuple((left.mT, right.mT) for left, right in basis), vectors)


def identity_root(outputs: Tensor) -> Tensor:
    """Return S (examples, outputs, outputs) of half a squared error, the identity."""
    size = outputs.shape[-1]
    return torch.eye(size, dtype=outputs.dtype, device=outputs.device).expand(len(outputs), size, size)


def _kronecker(network: LinearisedNetwork, inputs: Tensor, root: Callable[[Tensor], Tensor]) -> Curvature:
    factors = [
        tuple(torch.zeros((size, size), dtype=torch.float64, device=inputs.device) for size in block.shape)
        for block in network.blocks
    ]
    for batch in torch.split(inputs, examples_at_once(network, inputs, products=True)):
        for (slopes, extended), (left, right) in zip(kronecker_rows(network, batch, root), factors, strict=True):
            left.add_(slopes.flatten(0, 1).mT @ slopes.flatten(0, 1))
            right.add_(extended.mT @ extended / len(inputs))
    decompositions = [tuple(torch.linalg.eigh(factor) for factor in pair) for pair in factors]
    eigenvalues = [
        torch.outer(left.eigenvalues.clamp_min(0.0), right.eigenvalues.clamp_min(0.0)).flatten()
        for left, right in decompositions
    ]
    basis = tuple((left.eigenvectors, right.eigenvectors) for left, right in decompositions)
    return Curvature(torch.cat(eigenvalues), basis)


def kronecker_rows(
    network: LinearisedNetwork, inputs: Tensor, root: Callable[[Tensor], Tensor]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield for each block, a Linear layer, what its part of the Jacobian is the product of.

    Slopes (outputs, examples, rows) of ``S' f`` in the layer's outputs, for a root S as a function of the logits; and
    the layer's inputs (examples, columns), extended by 1 if there is a bias.

    Raises:
        UserError: if a parameter is none of a Linear layer that sees every example once.
    """
    logits, seen = _observed(network, inputs)
    wanted = [seen[block.layer or ""][1] for block in network.blocks]
    columns = (root(logits.detach()).mT @ logits.unsqueeze(-1)).squeeze(-1).sum(0)
    slopes = [torch.autograd.grad(column, wanted, retain_graph=True) for column in columns]
    for index, block in enumerate(network.blocks):
        values = seen[block.layer or ""][0].detach()
        ones = torch.ones_like(values[:, :1])
        extended = torch.cat([values, ones], dim=-1) if len(block.names) == 2 else values
        yield torch.stack([slope[index] for slope in slopes]), extended


def _observed(network: LinearisedNetwork, inputs: Tensor) -> tuple[Tensor, dict[str, tuple[Tensor, Tensor]]]:
    """Return the logits, and by name of the Linear layer its inputs and outputs, all part of one graph.

    Raises:
        UserError: if a parameter is none of a Linear layer that sees every example once.
    """
    calls: dict[str, list[tuple[Tensor, Tensor]]] = {}

    def hook_of(name: str) -> Any:
        def hook(module: nn.Module, arguments: tuple[Tensor, ...], output: Tensor) -> Tensor:
            followed = output if output.requires_grad else output.requires_grad_()
            calls.setdefault(name, []).append((arguments[0], followed))
            return followed.clone()  # what comes next may work in place

        return hook

    modules = dict(network.network.named_modules())
    layers = [block.layer for block in network.blocks if block.layer is not None]
    handles = [modules[layer].register_forward_hook(hook_of(layer)) for layer in layers]
    try:
        with torch.enable_grad():
            logits = network.call(inputs.double())
    finally:
        for handle in handles:
            handle.remove()
    once = all(len(calls.get(layer, ())) == 1 and calls[layer][0][0].dim() == 2 for layer in layers)
    if not once or len(layers) < len(network.blocks):
        raise UserError(
            f"network class '{network.name}': laplace: structure: kron is for parameters of nn.Linear layers that see "
            "each example once; set structure: diag, or layers: last"
        )
    return logits, {layer: seen for layer, (seen,) in calls.items()}
