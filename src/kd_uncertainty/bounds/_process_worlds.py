r"""Worlds of the enumerated processes: inputs, labels, and hypotheses that give every input a margin.

At margin w the chance of label 1 is 1 / (1 + exp(-w)), and of label 0 the rest.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.bounds.enumerated import Gibbs, Process
from kd_uncertainty.bounds.sharpness import coordinate_rule
from kd_uncertainty.population.seeds import derive_seed

Floats = NDArray[np.float64]
Loss = Literal["log", "brier", "zero_one"]

_QUADRATURE = 24


class World(NamedTuple):
    """Inputs (m,), the chance of label 1 at each before noise (m,), and margins of hypotheses (f, m)."""

    inputs: Floats
    chances: Floats
    margins: Floats


def draw_world(seed: int, number: int, num_inputs: int, num_hypotheses: int, margin: float) -> World:
    """World ``number`` of a seed: inputs are Dirichlet(2) and all margins normal, with the standard deviation given."""
    generator = np.random.default_rng(derive_seed(seed, "world", number))
    inputs = generator.dirichlet(np.full(num_inputs, 2.0))
    margins = margin * generator.standard_normal((num_hypotheses + 1, num_inputs))
    return World(inputs, _sigmoid(margins[0]), margins[1:])


def world_process(world: World, loss: Loss, noise: float, num_examples: int, inverse_temperature: float) -> Process:
    """A process of the world whose student is the teacher's kernel over again.

    Args:
        world: inputs, labels and hypotheses.
        loss: of one example.
        noise: chance that a label is flipped.
        num_examples: n.
        inverse_temperature: beta.
    """
    chances = (1.0 - noise) * world.chances + noise * (1.0 - world.chances)
    ones, count = _sigmoid(world.margins), len(world.margins)
    gibbs = Gibbs(uniform_prior(count, count), inverse_temperature)
    return Process(
        world.inputs,
        np.stack([1.0 - chances, chances], axis=1),
        np.stack([1.0 - ones, ones], axis=2),
        label_losses(world.margins, loss),
        num_examples,
        gibbs,
        gibbs,
    )


def label_losses(margins: Floats, loss: Loss) -> Floats:
    """The loss of margins (...) at labels 0 and 1, (..., 2)."""
    signed = np.stack([-margins, margins], axis=-1)  # of the label
    if loss == "log":
        return np.logaddexp(0.0, -signed)
    if loss == "brier":
        return np.asarray(_sigmoid(-signed) ** 2)
    return (signed <= 0.0).astype(np.float64)


def smoothed_losses(margins: Floats, loss: Loss, radius: float) -> Floats:
    """E_U of the losses of margins (f, m) at labels 0 and 1, U uniform in the ball of R^m: (f, m, 2).

    The loss at an input depends on one coordinate of U alone.
    """
    nodes, weights = coordinate_rule(margins.shape[1], _QUADRATURE)
    return np.asarray(np.einsum("u,ufmk->fmk", weights, label_losses(margins + radius * nodes[:, None, None], loss)))


def uniform_prior(allowed: int, count: int) -> Floats:
    """Uniform over the first hypotheses, as log-probabilities (count,)."""
    return np.where(np.arange(count) < allowed, -math.log(allowed), -math.inf)


def _sigmoid(margins: Floats) -> Floats:
    return np.asarray(np.exp(-np.logaddexp(0.0, -margins)))
