"""SWAG: the normal distribution of the weights that stochastic gradient descent visits (Maddox et al. 2019).

After training, descent goes on with a constant learning rate, and its weights w_1, ..., w_S after each epoch give
("A simple baseline for Bayesian uncertainty in deep learning", section 3 and algorithm 1)

- a mean ``m = mean_i w_i``;
- a diagonal ``d = mean_i w_i^2 - m^2``;
- deviations ``w_i - m_i`` of the last ``rank`` of them, the columns of D, with ``m_i`` the mean up to w_i.

A draw is ``m + sqrt(d / 2) z_1 + D z_2 / sqrt(2 (rank - 1))`` with standard normals z_1 and z_2 (equation 1). With
several members it is a draw from one of them (Wilson & Izmailov 2020, "Bayesian deep learning and a probabilistic
perspective of generalization", section 5: MultiSWAG).

Descent is without momentum, unlike the paper's: then an epoch leaves nothing behind but the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Annotated, Literal, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import State
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import Cohort, choose_backend, naming_the_network, train
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers._posterior import Curves
from kd_uncertainty.teachers._vectors import Vectors, normals
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """How descent goes on after training, and what is kept of it.

    Attributes:
        members: trainings, each with a normal distribution of its own.
        snapshots: epochs of descent, and weights that the moments are of.
        rank: deviations kept, of the last snapshots.
        learning_rate: of descent after training.
    """

    kind: Literal["swag"] = "swag"
    members: PositiveInt = 1
    snapshots: Annotated[int, Field(ge=2)] = 30
    rank: Annotated[int, Field(ge=2)] = 20
    learning_rate: PositiveFloat = 0.01

    @model_validator(mode="after")
    def _deviations_are_of_snapshots(self) -> Self:
        if self.rank > self.snapshots:
            raise ValueError(f"rank must be at most snapshots ({self.snapshots}), not {self.rank}")
        return self


class Moments:
    """Running moments of weight vectors (members, size), as above, in float64.

    Args:
        rank: deviations kept.
    """

    def __init__(self, rank: int) -> None:
        self._rank, self._count = rank, 0
        self._sum = self._squares = torch.zeros((), dtype=torch.float64)
        self._deviations: list[Tensor] = []

    def add(self, weights: Tensor) -> None:
        """Take in the next snapshot."""
        weights = weights.double()
        self._count += 1
        self._sum, self._squares = self._sum + weights, self._squares + weights.square()
        self._deviations = [*self._deviations, weights - self.mean][-self._rank :]

    @property
    def mean(self) -> Tensor:
        """(members, size)."""
        return self._sum / self._count

    @property
    def diagonal(self) -> Tensor:
        """Variances (members, size)."""
        return (self._squares / self._count - self.mean.square()).clamp_min(0.0)

    @property
    def deviations(self) -> Tensor:
        """(members, rank, size)."""
        return torch.stack(self._deviations, dim=1)


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train all members with ``problem.training``, go on with plain descent, and take the moments of its weights.

    Of ``problem.training``, descent uses the batch size, the weight decay and the precision.

    Returns:
        ``mean`` and ``diagonal`` (members, weights) and ``deviations`` (members, rank, weights), in the order of
        ``_vectors``; curves of the training and, after it, of descent.

    Raises:
        UserError: if the network cannot be built, has buffers or frozen parameters, fails, or training diverges.
    """
    vectors = Vectors.of_problem(problem, "swag")
    trained = fit_members(problem, problem.network.arguments, options.members, seed)
    moments, curves = Moments(options.rank), Curves(problem, vectors, after=problem.training.epochs)
    with naming_the_network(problem.network.class_path, "teachers", len(problem.labels), problem.training):
        for epoch, (state, losses) in enumerate(_descent(problem, vectors, trained.parameters, options, seed)):
            weights = vectors.flat(state)
            moments.add(weights)
            there = vectors.state(weights.to(problem.device))
            curves.add(epoch, range(options.members), losses.to(problem.device), there)
    table = pd.concat([trained.curves, curves.table()]).sort_values(["member", "epoch"], ignore_index=True)
    parameters = {"mean": moments.mean, "diagonal": moments.diagonal, "deviations": moments.deviations}
    return Fitted({name: values.float() for name, values in parameters.items()}, table)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw weights, and with each all examples' logits; draw ``j`` depends on ``(seed, j)`` alone.

    Members take turns, in an order that the seed shuffles.

    Returns:
        ``(draws, examples, classes)``.
    """
    weights = (draw_weights(teacher.parameters, draw, seed) for draw in draws)
    return Vectors.of_teacher(teacher).answers(weights, inputs)


def draw_weights(parameters: Mapping[str, Tensor], draw: int, seed: int) -> Tensor:
    """Return the weights (size,) of one draw, by the formula above."""
    members, rank, size = parameters["deviations"].shape
    order = np.random.default_rng(derive_seed(seed, "members", draw // members)).permutation(members)
    member = int(order[draw % members])
    mean, diagonal, deviations = (parameters[name][member] for name in ("mean", "diagonal", "deviations"))
    draws = normals(seed, "weights", draw, size + rank, mean)
    apart, together = draws[:size], draws[size:]
    weights: Tensor = mean + (diagonal / 2).sqrt() * apart
    for scale, deviation in zip((together / math.sqrt(2 * (rank - 1))).tolist(), deviations, strict=True):
        weights.add_(deviation, alpha=scale)  # a product of matrices may round by the address
    return weights


def _descent(
    problem: Problem, vectors: Vectors, state: State, options: Options, seed: int
) -> Iterator[tuple[State, Tensor]]:
    """Go on for an epoch at a time; yields the weights after it, stacked (members, ...), and losses (members,)."""
    values = problem.labels if problem.loss == "mse" else one_hot(problem.labels, problem.num_classes).float()
    training = TrainingOptions(
        epochs=1,
        batch_size=problem.training.batch_size,
        optimiser="sgd",
        learning_rate=options.learning_rate,
        weight_decay=problem.training.weight_decay,
        precision=problem.training.precision,
    )
    backend, _ = choose_backend(
        vectors.build, "auto", problem.inputs, values.shape[-1], training, problem.device, problem.loss
    )
    for epoch in range(options.snapshots):
        orders = [derive_seed(seed, "descent", member, epoch) for member in range(options.members)]
        cohort = replace(Cohort.of_ensemble(values, orders, orders), loss=problem.loss)
        try:
            trained = train(
                vectors.build,
                problem.inputs,
                problem.labels,
                cohort,
                training,
                backend=backend,
                device=problem.device,
                chunk_size=problem.chunk_size,
                initial=state,
            )
        except UserError as error:  # the engine's advice is about training, which went well
            raise UserError(
                f"teachers: kind: swag: descent after training diverges in epoch {epoch + 1}; lower its learning_rate "
                f"(now {options.learning_rate:g})"
            ) from error
        state = trained.parameters
        yield state, trained.losses[:, 0]
