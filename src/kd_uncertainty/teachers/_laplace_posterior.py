"""The normal posterior ``N(theta*, (H + d I)^-1)`` around a network's trained weights ``theta*``.

``H`` is the curvature of the negative log-likelihood (``_laplace_curvature``), ``d`` the prior precision
(``_laplace_evidence``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from kd_uncertainty.population.contract import Loss
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.teachers._laplace_curvature import (
    Curvature,
    Rotation,
    Structure,
    curvature,
    examples_at_once,
    from_eigenbasis,
    identity_root,
    kronecker_rows,
    to_eigenbasis,
)
from kd_uncertainty.teachers._laplace_evidence import Evidence, Scale, Scales, scales
from kd_uncertainty.teachers._laplace_network import LinearisedNetwork


class Posterior(NamedTuple):
    """Covariance ``basis diag(1 / precisions) basis'``, and the scales that it was computed with.

    Attributes:
        precisions: (P,), eigenvalues of ``H + d I``.
        basis: its eigenvectors, a rotation for each block of parameters.
        scales: prior precision, noise variance, log marginal likelihood.
    """

    precisions: Tensor
    basis: tuple[Rotation, ...]
    scales: Scales

    def variances(self, jacobians: Tensor) -> Tensor:
        """Return ``diag(J (H + d I)^-1 J')``, (..., outputs), from Jacobians (..., outputs, P)."""
        return (to_eigenbasis(self.basis, jacobians).square() / self.precisions).sum(-1)

    def variances_at(self, network: LinearisedNetwork, inputs: Tensor) -> Tensor:
        """Return :meth:`variances` of the network's logits, (examples, outputs).

        Of Kronecker products ``J = g (x) a`` and ``U (x) V`` only the factors are computed:
        ``sum_ij (U' g)_i^2 (V' a)_j^2 / precision_ij`` in each layer.
        """
        if not self._in_layers(network):
            return self.variances(network.jacobians(inputs))
        pieces = torch.split(1 / self.precisions, network.sizes)
        total = torch.zeros((), dtype=torch.float64, device=inputs.device)
        for (slopes, extended), (left, right), piece in zip(
            kronecker_rows(network, inputs, identity_root), self.basis, pieces, strict=True
        ):
            weights = (extended @ right).square() @ piece.view(len(left), len(right)).mT
            total = total + ((slopes @ left).square() * weights).sum(-1).mT
        return total

    def examples_at_once(self, network: LinearisedNetwork, inputs: Tensor) -> int:
        """Return how many examples :meth:`variances_at` can be asked for; a function of the network alone."""
        return examples_at_once(network, inputs, products=self._in_layers(network))

    def _in_layers(self, network: LinearisedNetwork) -> bool:
        """Whether the basis is a Kronecker product in each layer."""
        shapes = [(len(left), len(right)) for left, right in self.basis]
        layered = all(block.layer is not None for block in network.blocks)
        return layered and shapes == [block.shape for block in network.blocks]

    def draw(self, seed: int) -> Tensor:
        """Draw ``theta - theta*``, (P,): a pure function of the seed, from counted normals."""
        count = len(self.precisions)
        normals = torch.from_numpy(standard_normals(np.array([seed], dtype=np.uint64), 0, count)[0])
        return from_eigenbasis(self.basis, normals.to(self.precisions.device) / self.precisions.sqrt())

    def to_tensors(self) -> dict[str, Tensor]:
        """Return what is stored, on the CPU, by names without a slash."""
        tensors = {name: torch.tensor(value, dtype=torch.float64) for name, value in self.scales._asdict().items()}
        tensors["precisions"] = self.precisions.cpu()
        for index, (left, right) in enumerate(self.basis):
            tensors |= {f"left.{index}": left.cpu(), f"right.{index}": right.cpu()}
        return tensors

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], device: torch.device) -> Posterior:
        """The inverse of :meth:`to_tensors`, on ``device``."""
        blocks = sum(name.startswith("left.") for name in tensors)
        basis = tuple(
            (tensors[f"left.{index}"].to(device), tensors[f"right.{index}"].to(device)) for index in range(blocks)
        )
        numbers = Scales(*(float(tensors[name]) for name in Scales._fields))
        return cls(tensors["precisions"].to(device), basis, numbers)


def laplace_posterior(
    network: LinearisedNetwork,
    inputs: Tensor,
    labels: Tensor,
    *,
    loss: Loss = "distillation",
    structure: Structure = "full",
    prior_precision: Scale = "marginal_likelihood",
    noise_variance: Scale = "marginal_likelihood",
) -> Posterior:
    """Return the posterior given all training examples.

    Args:
        network: the network as trained, and the parameters that the posterior is over.
        inputs: (examples, features).
        labels: (examples,) classes, or (examples, outputs) numbers.
        loss: "distillation" for classes, "mse" for numbers with normal noise.
        structure: what is kept of the curvature.
        prior_precision: the prior's inverse variance, or "marginal_likelihood".
        noise_variance: likewise; ignored for classes, which have none.

    Raises:
        UserError: if the network does not have the structure, or the matrix would be too large.
    """
    curved = curvature(network, inputs, loss, structure)
    evidence = evidence_of(network, curved, inputs, labels, loss)
    found = scales(evidence, prior_precision, noise_variance if loss == "mse" else 1.0)
    return Posterior(curved.eigenvalues / found.noise_variance + found.prior_precision, curved.basis, found)


def evidence_of(network: LinearisedNetwork, curved: Curvature, inputs: Tensor, labels: Tensor, loss: Loss) -> Evidence:
    """Return what the marginal likelihood depends on, for the arguments of :func:`laplace_posterior`."""
    logits = torch.cat([network.logits(batch) for batch in torch.split(inputs, 1024)])
    eigenvalues, norm = curved.eigenvalues.cpu().numpy(), float(network.mode.square().sum())
    if loss == "mse":
        squares = float((logits - labels).square().sum())
        return Evidence(eigenvalues, norm, squared_errors=squares, num_values=logits.numel())
    chosen = torch.log_softmax(logits, dim=-1).gather(-1, labels.unsqueeze(-1))
    return Evidence(eigenvalues, norm, log_likelihood=float(chosen.sum()))
