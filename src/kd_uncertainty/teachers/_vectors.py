"""A network's weights as one vector: what distributions over weights are written in."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.counter import as_seeds
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers.contract import Problem, Teacher


class Vectors(NamedTuple):
    """A network and the order of its weights in a vector: parameter by parameter, each in row-major order.

    Attributes:
        build: builds one network.
        shapes: of the parameters by name, in the order of ``named_parameters``.
    """

    build: Build
    shapes: dict[str, torch.Size]

    @classmethod
    def of_problem(cls, problem: Problem, kind: str) -> Self:
        """Return the vectors of the network that a teacher is fitted with.

        Raises:
            UserError: if it cannot be built, or is more than its weights: has buffers, such as the statistics of batch
                normalisation, or frozen parameters.
        """
        vectors = cls.of(problem.network, problem.inputs.shape[1], problem.num_classes)
        with torch.random.fork_rng(devices=[]):
            built = vectors.build()
        _check(built, f"network class '{problem.network.class_path}'", kind)
        return vectors

    @classmethod
    def of_teacher(cls, teacher: Teacher) -> Self:
        """Return the vectors of a fitted teacher's network."""
        return cls.of(teacher.network, teacher.num_inputs, teacher.num_classes)

    @classmethod
    def of(cls, network: NetworkOptions, num_inputs: int, num_classes: int) -> Self:
        """Return the vectors of a network."""
        build = network_builder(network.class_path, network.arguments, num_inputs, num_classes)
        with torch.random.fork_rng(devices=[]):
            return cls(build, {name: values.shape for name, values in build().named_parameters()})

    @property
    def size(self) -> int:
        """Weights in all."""
        return sum(shape.numel() for shape in self.shapes.values())

    def flat(self, state: State) -> Tensor:
        """Return stacked parameters (members, ...) as vectors (members, size)."""
        return torch.cat([state[name].flatten(1) for name in self.shapes], dim=1)

    def state(self, vectors: Tensor) -> State:
        """Return vectors (members, size) as stacked parameters (members, ...), which share their memory."""
        parts = torch.split(vectors, [shape.numel() for shape in self.shapes.values()], dim=1)
        return {
            name: part.view(len(vectors), *shape)
            for (name, shape), part in zip(self.shapes.items(), parts, strict=True)
        }

    def prior_std(self, std: float) -> Tensor:
        """Return each weight's prior standard deviation, (size,) float32.

        ``std / sqrt(fan_in)`` for weights of units with ``fan_in`` inputs, so that a unit's sum keeps its size whatever
        the width of the layer before (Neal 1996, "Bayesian learning for neural networks", section 2.1); ``std`` for
        biases and other vectors.
        """
        scales = (
            torch.full((shape.numel(),), std / math.sqrt(math.prod(shape[1:]) or 1)) for shape in self.shapes.values()
        )
        return torch.cat(list(scales))

    def answers(self, weights: Iterable[Tensor], inputs: Tensor) -> Tensor:
        """Return the logits of weight vectors (size,), (vectors, examples, classes); one after another is in memory."""
        return torch.cat([predict(self.build, self.state(one.unsqueeze(0)), inputs) for one in weights])


def normals(seed: int, purpose: str, draw: int, count: int, like: Tensor) -> Tensor:
    """Return the standard normals (count,) of one draw; a function of seed, purpose and draw, whatever the device.

    Args:
        seed: of all draws.
        purpose: what they are for.
        draw: its number.
        count: how many.
        like: whose type and device they get.
    """
    seeds: np.ndarray = as_seeds([derive_seed(seed, purpose, draw)])
    return torch.from_numpy(standard_normals(seeds, 0, count)[0]).to(like)


def _check(network: nn.Module, where: str, kind: str) -> None:
    if names := [name for name, _ in network.named_buffers()]:
        raise UserError(
            f"{where}: has buffers ('{names[0]}'), such as the statistics of batch normalisation, which belong to no "
            f"posterior of its weights; kind: {kind} needs a network without (another normalisation), or take kind: "
            "deep_ensemble"
        )
    if names := [name for name, values in network.named_parameters() if not values.requires_grad]:
        raise UserError(
            f"{where}: has frozen parameters ('{names[0]}'); kind: {kind} draws all weights, so leave them free, or "
            "take kind: deep_ensemble"
        )
