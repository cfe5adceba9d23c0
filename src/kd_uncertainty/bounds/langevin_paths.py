r"""Paths of stochastic-gradient Langevin dynamics, and the divergence of their laws.

A chain moves by ``theta <- theta - eta_t g_t(theta) + sqrt(2 eta_t / beta) normals`` (Welling & Teh 2011). Two chains
with other gradients have, at each step and place, normal kernels of one variance whose means are ``eta_t (g - g')``
apart, so that by the chain rule (Girsanov's theorem in discrete time)

    KL(path of g || path of g') = sum_t (eta_t beta / 4) E ||g_t(theta_t) - g'_t(theta_t)||^2,

along the paths of g. That is exact for paths, and by data processing at least the divergence of where they end.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.bounds.finite_population import TrainingSets
from kd_uncertainty.population.backends.stacked import Forward, stacked_forward
from kd_uncertainty.population.contract import Build, State
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.seeds import batch_orders

Floats = NDArray[np.float64]

Gradient = Callable[[int, Tensor], Tensor]
"""From a step and parameters (chains, d) to the gradients of each chain, (chains, d)."""


class Walk(NamedTuple):
    """Where chains end, and how far their paths' laws are from others.

    Attributes:
        ends: (chains, d).
        divergence: (chains,), ``sum_t (eta_t beta / 4) ||g_t - g'_t||^2`` along each path, in nats; its mean over
            chains estimates the divergence without bias.
    """

    ends: Tensor
    divergence: Floats


def langevin_walk(
    start: Tensor,
    gradient: Gradient,
    step_sizes: Floats,
    inverse_temperature: float,
    seeds: Sequence[int],
    other: Gradient | None = None,
) -> Walk:
    """Let chains walk, each with its own noise.

    Every operation has a single rounding and is of one element, so that no chain depends on its neighbours.

    Args:
        start: (chains, d), which stays as it is.
        gradient: g, along which they go.
        step_sizes: (steps,), eta_t.
        inverse_temperature: beta.
        seeds: of the chains' noise.
        other: g', of the law that theirs is compared with; without it divergences are 0.
    """
    generators = [np.random.Generator(np.random.Philox(seed)) for seed in seeds]
    weights, divergence = start.clone(), torch.zeros(len(start), dtype=torch.float64)
    noise = np.empty(tuple(start.shape), dtype=np.float64 if start.dtype == torch.float64 else np.float32)
    for step, size in enumerate(step_sizes.tolist()):
        slopes = gradient(step, weights)
        if other is not None:
            apart = (slopes - other(step, weights)).double().square().sum(dim=1)
            divergence += 0.25 * size * inverse_temperature * apart
        for row, generator in zip(noise, generators, strict=True):
            generator.standard_normal(out=row, dtype=noise.dtype.type)
        weights = weights - slopes * size + torch.from_numpy(noise) * math.sqrt(2.0 * size / inverse_temperature)
    return Walk(weights, divergence.numpy())


def batches_of(seed: int, num_examples: int, batch_size: int, num_steps: int) -> Tensor:
    """Return the positions in a training set that each step sees, (steps, batch): shuffled passes, one after another.

    Args:
        seed: of the order.
        num_examples: n.
        batch_size: at most n are taken.
        num_steps: how many.
    """
    size = min(batch_size, num_examples)
    passes = math.ceil(num_steps * size / num_examples)
    orders = np.concatenate([batch_orders([seed], number, num_examples)[0] for number in range(passes)])
    return torch.from_numpy(orders[: num_steps * size].reshape(num_steps, size))


class Networks(NamedTuple):
    """Networks as functions of flat parameters.

    Attributes:
        forward: from stacked parameters and inputs (chains, examples, features) to logits; dropout is off.
        shapes: of the parameters, by name.
    """

    forward: Forward
    shapes: dict[str, torch.Size]

    @classmethod
    def of(cls, build: Build, start: State) -> Networks:
        """Take a network apart whose parameters are ``start``, stacked (1, ...)."""
        network = build().eval()
        stacked = stacked_forward(network)

        def one_by_one(state: State, inputs: Tensor) -> Tensor:
            each = [{name: values[row] for name, values in state.items()} for row in range(len(inputs))]
            return torch.stack(
                [torch.func.functional_call(network, one, (x,)) for one, x in zip(each, inputs, strict=True)]
            )

        return cls(stacked or one_by_one, {name: values.shape[1:] for name, values in start.items()})

    def state(self, weights: Tensor) -> State:
        """Split flat parameters (chains, d)."""
        parts = torch.split(weights, [shape.numel() for shape in self.shapes.values()], dim=1)
        shaped = zip(self.shapes.items(), parts, strict=True)
        return {name: part.reshape(-1, *shape) for (name, shape), part in shaped}

    def gradient(
        self, table: tuple[Tensor, int], sets: TrainingSets, batches: Tensor, temperature: float, weight_decay: float
    ) -> Gradient:
        """Return the gradient of ``t^2 CE(label, softmax(logits / t)) + l/2 ||theta||^2``, one training set a chain.

        Args:
            table: inputs (points, features) that sets are of, and the number of classes.
            sets: one a chain.
            batches: (steps, batch), positions in a training set.
            temperature: t.
            weight_decay: l.
        """
        inputs, classes = table
        points, labels = (torch.from_numpy(values) for values in sets)
        ones, softening = torch.ones(len(points)), torch.full((len(points),), temperature)

        def gradient(step: int, weights: Tensor) -> Tensor:
            rows = batches[step]
            leaf, own = weights.detach().requires_grad_(), labels[:, rows]
            targets = torch.nn.functional.one_hot(own, classes).to(weights.dtype)
            with torch.enable_grad():
                logits = self.forward(self.state(leaf), inputs[points[:, rows]])
                losses = distillation_loss(logits, own, targets, ones, softening)
                (slopes,) = torch.autograd.grad(losses.sum(), leaf)
            return slopes + weight_decay * weights

        return gradient


def spread(logits: Floats) -> Floats:
    """The standard deviation of logits over classes, mean over points: (..., points, classes) to (...)."""
    return np.asarray(logits.astype(np.float64).std(axis=-1).mean(axis=-1))


def function_space(student: Floats, teacher: Floats) -> Floats:
    r"""Return what one figure of the function tells of the two laws apart, (sets,) in nats.

    For any T, ``KL(P || Q) >= E_P T - E_Q exp(T) + 1`` (Nguyen, Wainwright & Jordan 2010). T is the log ratio of how
    often the figure lies above a threshold, or not, in all *other* sets (with half a count added), and the threshold
    is midway between the two means there. As T does not know the set, the estimate is in expectation at most the
    mean divergence; it cannot exceed about the logarithm of the number of draws.

    Args:
        student: (sets, draws) of a figure, under P.
        teacher: (sets, draws), under Q.
    """
    found = np.empty(len(student))
    for row in range(len(student)):
        others = np.delete(student, row, axis=0), np.delete(teacher, row, axis=0)
        threshold = 0.5 * (others[0].mean() + others[1].mean())
        shares = [(np.sum(some > threshold) + 0.5) / (some.size + 1.0) for some in others]
        ratios = np.log([(1.0 - shares[0]) / (1.0 - shares[1]), shares[0] / shares[1]])
        said, heard = (ratios[(some[row] > threshold).astype(int)] for some in (student, teacher))
        found[row] = said.mean() - np.expm1(heard).mean()
    return found
