"""A Laplace approximation: a normal posterior around one trained network (MacKay 1992; Daxberger et al. 2021).

The network is trained as any other and its weights are taken as the mode ``theta*``. Its posterior is
``N(theta*, (H + d I)^-1)``, with the generalised Gauss-Newton matrix ``H`` of all training examples
(``_laplace_curvature``) over the last layer or all of them, and a prior precision ``d`` that is given or maximises the
marginal likelihood (``_laplace_evidence``).

Predictions are those of the linearised network (Immer, Korzepa & Bauer 2021, "Improving predictions of Bayesian neural
nets via local linearization"), ``f(x) + J(x) (theta - theta*)``, which in the last layer is the network itself:

- sampled: draw j takes weights from the posterior, the same for all examples;
- probit: one draw, ``f_k / sqrt(1 + pi/8 v_k)`` with the variances ``v = diag(J (H + d I)^-1 J')`` of the logits: a
  softmax of these approximates the posterior's mean probabilities (MacKay 1992, "The evidence framework applied to
  classification networks"; diagonal in the classes, as in Daxberger et al. 2021, "Laplace redux", section 2.1). It
  only ever softens, and is crude where the logits' variances are large.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers._laplace_curvature import Structure
from kd_uncertainty.teachers._laplace_network import LinearisedNetwork, linearised_network
from kd_uncertainty.teachers._laplace_posterior import Posterior, laplace_posterior
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions

_MODE, _POSTERIOR = "mode.", "posterior."
"""How the names of stored tensors begin: the trained network's, and the posterior's."""

_BLOCK = 256
"""Examples in a forward pass, always; a matrix product of another size may round differently."""


class Options(TeacherOptions):
    """Which curvature, over which layers, with which prior, and how it predicts.

    Attributes:
        layers: "last", the Linear layer that gives the logits, or "all".
        structure: of the curvature: "full"; "kron", a Kronecker product for each layer; or "diag".
        prior_precision: the prior's inverse variance, or "marginal_likelihood".
        predictive: "probit", one draw near the mean probabilities; or "sampled", draws of functions.
        noise_variance: of numbers, in squared units of the scaled labels, or "marginal_likelihood"; unused for classes.
    """

    kind: Literal["laplace"] = "laplace"
    layers: Literal["last", "all"] = "last"
    structure: Structure = "kron"
    prior_precision: PositiveFloat | Literal["marginal_likelihood"] = "marginal_likelihood"
    predictive: Literal["probit", "sampled"] = "probit"
    noise_variance: PositiveFloat | Literal["marginal_likelihood"] = "marginal_likelihood"

    @property
    def distinct_draws(self) -> int | None:
        """One with the probit approximation, no end of them otherwise."""
        return 1 if self.predictive == "probit" else None


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train one network and compute the posterior around it, in float64.

    Returns:
        ``mode.<name>``: the network's parameters and buffers, (1, ...). ``posterior.precisions`` (P,): the eigenvalues
        of ``H + d I``; ``posterior.left.<i>`` and ``posterior.right.<i>``: its eigenvectors, a Kronecker product in
        each block of parameters; ``posterior.prior_precision``, ``posterior.noise_variance`` (1 for classes) and
        ``posterior.log_marginal_likelihood`` (in nats): numbers.

    Raises:
        UserError: if the network does not have such a posterior, the matrix would be too large, or numbers are to be
            predicted by probit.
    """
    if problem.loss == "mse" and options.predictive == "probit":
        raise UserError(
            "teachers: kind: laplace: predictive: probit is for classes, and this study predicts numbers; set "
            "predictive: sampled"
        )
    trained = fit_members(problem, problem.network.arguments, 1, seed)
    stored = {f"{_MODE}{name}": values for name, values in trained.parameters.items()}
    teacher = Teacher("", options, problem.network, problem.inputs.shape[1], problem.num_classes, stored)
    with reproducible(problem.device):
        posterior = laplace_posterior(
            _network(teacher, problem.device),
            problem.inputs.to(problem.device, copy=True),
            problem.labels.to(problem.device),
            loss=problem.loss,
            structure=options.structure,
            prior_precision=options.prior_precision,
            noise_variance=options.noise_variance,
        )
    stored |= {f"{_POSTERIOR}{name}": values for name, values in posterior.to_tensors().items()}
    return Fitted(stored, trained.curves)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw weights of the linearised network, or return the one probit draw as often; (draws, examples, classes).

    Draw ``j`` depends on ``(seed, j)`` alone. Examples are computed in float64 and in blocks of a fixed size, the last
    one filled up, so that their logits do not depend on how many are asked for; the result is float32.
    """
    assert isinstance(teacher.options, Options)
    device = inputs.device
    network = _network(teacher, device)
    posterior = Posterior.from_tensors(_named(teacher, _POSTERIOR), device)
    with reproducible(device):
        if teacher.options.predictive == "probit":
            size = posterior.examples_at_once(network, inputs)
            logits = _in_blocks(inputs, size, lambda block: probit_logits(network, posterior, block).float())
            return logits.expand(len(draws), *logits.shape).clone()
        directions = [posterior.draw(derive_seed(seed, "laplace", draw)) for draw in draws]
        return _in_blocks(inputs, _BLOCK, lambda block: network.along(block, directions).float())


def posterior_mean(teacher: Teacher, inputs: Tensor) -> Tensor:
    """Return the posterior mean of the linearised network, which is the trained network: (examples, outputs)."""
    with reproducible(inputs.device):
        return _in_blocks(inputs, _BLOCK, _network(teacher, inputs.device).logits)


def probit_logits(network: LinearisedNetwork, posterior: Posterior, inputs: Tensor) -> Tensor:
    """Return logits (examples, classes) whose softmax approximates the posterior's mean probabilities."""
    variances = posterior.variances_at(network, inputs)
    return network.logits(inputs) / torch.sqrt(1 + math.pi / 8 * variances)


def _network(teacher: Teacher, device: torch.device) -> LinearisedNetwork:
    assert isinstance(teacher.options, Options)
    state = {name: values[0].to(device, copy=True) for name, values in _named(teacher, _MODE).items()}
    last = teacher.options.layers == "last"
    return linearised_network(teacher.network, teacher.num_inputs, teacher.num_classes, state, last=last)


def _named(teacher: Teacher, prefix: str) -> dict[str, Tensor]:
    """Return the stored tensors whose names begin so, without that."""
    return {name.removeprefix(prefix): values for name, values in teacher.parameters.items() if name.startswith(prefix)}


def _in_blocks(inputs: Tensor, size: int, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply a function, whose result is (..., examples, outputs), to blocks of ``size`` examples.

    The last block is filled up with its last example, so that all have the same size.
    """
    results = []
    for part in torch.split(inputs, size):
        block = torch.cat([part, part[-1:].expand(size - len(part), *part.shape[1:])])
        results.append(function(block)[..., : len(part), :])
    return torch.cat(results, dim=-2)
