r"""Gradient noise at the optimum of the linear world: closed forms against drawn labels.

The Monte Carlo estimate visits every example once a draw, so that only labels are random, and forms the gradients
``((sum of target) P - target) (x) x`` themselves. One draw is one estimate of sigma*; the interval is Student's t over
draws.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from pydantic import Field, PositiveFloat
from tqdm import tqdm

from kd_uncertainty.convergence._tables import NONE, columns, scaled
from kd_uncertainty.convergence.supervision import (
    Supervision,
    break_even,
    deviations,
    generators_of,
    gradient_noise,
    noise_of,
    supervisions,
)
from kd_uncertainty.convergence.world import Floats, LinearWorld, softmax
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Distinct, Fraction, Options, Seed
from kd_uncertainty.uncertainty.students import student_mean

_DRAWS_AT_ONCE = 16
"""Draws in memory; part of what a seed's numbers are."""


class GradientNoiseOptions(Options):
    """Which teachers are compared, and how many labels are drawn for it."""

    additive: Distinct[PositiveFloat] = Field((0.01, 0.05, 0.2), description="variances nu of additive noise")
    dirichlet: Distinct[PositiveFloat] = Field((0.5, 5.0), description="a of Dirichlet(a P); larger is less noisy")
    mixing: Distinct[Fraction] = Field(
        (0.25, 0.5, 0.75), description="weights of the Dirichlet teacher's targets beside one-hot labels"
    )
    num_draws: int = Field(800, ge=2, description="targets drawn for every example")
    seed: Seed = 9


def gradient_noise_table(
    world: LinearWorld, options: GradientNoiseOptions, confidence: float = 0.95, progress: bool = False
) -> pd.DataFrame:
    """Return the gradient noise sigma* of every arm at theta*, in closed form and measured; one row an arm.

    Args:
        world: the task.
        options: of the section.
        confidence: of the intervals, over draws; examples are fixed.
        progress: whether to show a bar.

    Returns:
        arm, level (nu or a), mixing; closed_form and, with bounds, monte_carlo (expected squared gradient norm);
        ratio (measured over closed form, NaN for exact probabilities); largest_gradient (of exact probabilities: the
        largest gradient norm of any example at theta*, which is rounding); break_even (of additive noise: the nu with
        the noise of one-hot labels); num_draws.
    """
    arms = supervisions(options.additive, options.dirichlet)
    arms += [Supervision("dirichlet", level, mixing) for level in options.dirichlet for mixing in options.mixing]
    rows: list[dict[str, Any]] = []
    for arm in tqdm(arms, desc="gradient noise", unit="arm", disable=not progress):
        closed_form = gradient_noise(world, arm)
        measured = student_mean(measured_noise(world, arm, options.num_draws, options.seed), confidence)
        exact = arm.arm == "exact"
        rows.append(
            {
                **arm.keys,
                "closed_form": closed_form,
                **columns(monte_carlo=measured, ratio=NONE if exact else scaled(measured, 1.0 / closed_form)),
                "largest_gradient": largest_gradient(world) if exact else math.nan,
                "break_even": break_even(world) if arm.arm == "additive" else math.nan,
                "num_draws": options.num_draws,
            }
        )
    return pd.DataFrame(rows)


def gradients(world: LinearWorld, weights: Floats, targets: Floats) -> Floats:
    """Each example's gradient of the cross-entropy with its target, (n, K, d).

    Args:
        world: whose inputs are used.
        weights: (K, d) of the student.
        targets: (n, K), of any sum.
    """
    probabilities = softmax(world.inputs, weights)
    errors = targets.sum(axis=1, keepdims=True) * probabilities - targets
    return np.asarray(errors[:, :, None] * world.inputs[:, None, :])


def largest_gradient(world: LinearWorld) -> float:
    """The largest norm of any example's gradient at theta* under exact probabilities: 0 up to rounding."""
    exact = gradients(world, world.weights, world.probabilities)
    return float(np.linalg.norm(exact.reshape(len(exact), -1), axis=1).max())


def measured_noise(world: LinearWorld, arm: Supervision, draws: int, seed: int) -> Floats:
    """Mean squared gradient norm at theta* over the examples, for each draw of all their targets, (draws,).

    Draws depend on seed and source: a mixture sees the labels that one-hot supervision sees. More draws begin with
    the fewer.
    """
    noise, base = noise_of([arm]), derive_seed(seed, "gradient noise")
    generators = [generators_of(base, "draws", source) for source in noise.sources]
    norms = (world.inputs**2).sum(axis=1)
    batches = []
    shape = (_DRAWS_AT_ONCE, *world.probabilities.shape)
    probabilities = np.broadcast_to(world.probabilities, shape)
    for _ in range(-(-draws // _DRAWS_AT_ONCE)):
        error = np.zeros(shape)
        for source, weight, pair in zip(noise.sources, noise.weights[0], generators, strict=True):
            error += weight * deviations(source, probabilities, pair)
        error = error.sum(axis=2, keepdims=True) * probabilities - error
        # the squared norm of an outer product is the product of the squared norms
        batches.append(((error**2).sum(axis=2) * norms).mean(axis=1))
    return np.concatenate(batches)[:draws]
