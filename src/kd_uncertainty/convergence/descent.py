r"""Stochastic gradient descent of batch 1 in the linear world, for many students at once.

A step visits example i, drawn uniformly, with a fresh target t of sum s, and takes ``alpha (s p - t) (x) x`` from
theta, with ``p = softmax(theta x)``. All students, supervisions x step sizes x seeds, are axes of one array that one
update moves. A student's numbers are the same, bit for bit, whoever is beside it: every operation is elementwise, and
sums over inputs and classes run from the first term to the last.

Students of one seed share examples and noise (see :class:`~kd_uncertainty.convergence.supervision.LabelStreams`), so
that arms differ by what sets them apart alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from kd_uncertainty.convergence.divergence import excess_risk
from kd_uncertainty.convergence.supervision import LabelStreams, Supervision, noise_of
from kd_uncertainty.convergence.world import Floats, LinearWorld


class Plan(NamedTuple):
    """The students of one simulation.

    Attributes:
        arms: what they learn from.
        learning_rates: alpha.
        seeds: of examples and noise; each has a student for every arm and learning rate.
    """

    arms: Sequence[Supervision]
    learning_rates: Sequence[float]
    seeds: Sequence[int]


class Paths(NamedTuple):
    """What students reach, each (recorded steps, arms, learning rates, seeds).

    Attributes:
        steps: (recorded steps,), from 0.
        excess: excess risk f(theta) - f(theta*) over the world's examples, in nats.
        distance: squared distance to theta*, without the gauge.
    """

    steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    excess: Floats
    distance: Floats


def descend(
    world: LinearWorld,
    plan: Plan,
    recorded: Sequence[int],
    start: Floats | None = None,
    advance: Callable[[int], object] | None = None,
) -> Iterator[Floats]:
    """Yield the weights (d, K, arms, learning rates, seeds) after each of the recorded numbers of steps.

    The array is the simulation's own: copy what is to be kept.

    Args:
        world: the task.
        plan: the students.
        recorded: ascending numbers of steps; 0 is the start.
        start: (K, d) of all students; by default 0.
        advance: told of finished steps.
    """
    noise = noise_of(plan.arms)
    streams = LabelStreams(world, noise.sources, plan.seeds)
    rates = np.asarray(plan.learning_rates, dtype=np.float64)[:, None]
    shape = (len(plan.arms), len(plan.learning_rates), len(plan.seeds))
    weights = np.zeros((world.inputs.shape[1], world.num_classes, *shape))
    if start is not None:
        weights += start.T[:, :, None, None, None]
    step, waiting, update = 0, list(recorded), _Update(weights, rates)
    while waiting and waiting[0] == 0:
        yield weights
        waiting.pop(0)
    while waiting:
        rows, deviations = streams.draw()
        inputs = np.ascontiguousarray(world.inputs[rows].transpose(0, 2, 1))
        targets, totals = _targets(world, rows, noise.weights, deviations)
        done = step
        for x, target, total in zip(inputs, targets, totals, strict=True):
            update(x, target, total)
            step += 1
            if step == waiting[0]:
                yield weights
                waiting.pop(0)
                if not waiting:
                    break
        if advance is not None:
            advance(step - done)


def follow(
    world: LinearWorld,
    plan: Plan,
    recorded: Sequence[int],
    start: Floats | None = None,
    advance: Callable[[int], object] | None = None,
) -> Paths:
    """Return what the students of :func:`descend` reach at the recorded steps."""
    measured = [
        (excess_risk(world, weights), squared_distance(world, weights))
        for weights in descend(world, plan, recorded, start, advance)
    ]
    excess, distance = (np.stack(values) for values in zip(*measured, strict=True))
    return Paths(np.array(recorded, dtype=np.int64), excess, distance)


def squared_distance(world: LinearWorld, weights: Floats) -> Floats:
    """The squared distance to theta*, without the gauge, (...).

    Args:
        world: the task.
        weights: (d, K, ...).
    """
    apart = weights - world.weights.T.reshape(*world.weights.T.shape, *(1,) * (weights.ndim - 2))
    return squared_length(apart)


def squared_length(difference: Floats) -> Floats:
    """The squared length of a difference of weights (d, K, ...), without the gauge, (...)."""
    apart = difference - difference.mean(axis=1, keepdims=True)
    return np.asarray((apart**2).sum(axis=(0, 1)))


def _targets(
    world: LinearWorld, rows: np.ndarray[tuple[int, ...], np.dtype[np.intp]], weights: Floats, deviations: Floats
) -> tuple[Floats, Floats]:
    """Return targets (steps, K, arms, seeds) and their sums (steps, arms, seeds)."""
    exact = world.probabilities[rows].transpose(0, 2, 1)
    targets = np.repeat(exact[:, :, None, :], len(weights), axis=2)
    totals = np.ones((len(rows), *targets.shape[2:]))
    for source, noise in enumerate(deviations):
        sums = noise[:, 0].copy()
        for klass in range(1, noise.shape[1]):
            sums += noise[:, klass]
        for arm in np.flatnonzero(weights[:, source]):
            targets[:, :, arm] += weights[arm, source] * noise
            totals[:, arm] += weights[arm, source] * sums
    return targets, totals


class _Update:
    """One step of all students, in place, with buffers that are used again."""

    def __init__(self, weights: Floats, rates: Floats) -> None:
        self._weights, self._rates = weights, rates
        self._errors, self._products = np.empty(weights.shape[1:]), np.empty(weights.shape[1:])
        self._norms = np.empty(weights.shape[2:])

    def __call__(self, inputs: Floats, targets: Floats, totals: Floats) -> None:
        """Visit one example a seed: inputs (d, seeds), targets (K, arms, seeds) and their sums (arms, seeds)."""
        errors, products, norms = self._errors, self._products, self._norms
        np.multiply(self._weights[0], inputs[0], out=errors)
        for row, x in zip(self._weights[1:], inputs[1:], strict=True):
            errors += np.multiply(row, x, out=products)
        np.max(errors, axis=0, out=norms)
        errors -= norms
        np.exp(errors, out=errors)
        norms[:] = errors[0]
        for row in errors[1:]:
            norms += row
        errors /= norms
        errors *= totals[:, None, :]
        errors -= targets[:, :, None, :]
        errors *= self._rates
        for row, x in zip(self._weights, inputs, strict=True):
            np.subtract(row, np.multiply(errors, x, out=products), out=row)
