"""How far students of the linear world are from the truth, in nats: small relative error however close they are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kd_uncertainty.convergence.world import Floats, LinearWorld

_TILE = 1 << 16
"""Numbers of a temporary array, so that it stays in cache."""
_CLOSE, _STEEP = 1e-3, 300.0
"""Largest differences of logits below which exponentials are their series, and above which they may overflow."""


def excess_risk(world: LinearWorld, weights: Floats) -> Floats:
    """The excess risk f(theta) - f(theta*): the mean over examples of KL(P || softmax(theta x)), (...).

    Args:
        world: the task.
        weights: (d, K, ...).
    """
    return _mean_over_examples(world, weights, _excess)


def quasi_convexity(world: LinearWorld, weights: Floats, distance: Floats) -> Floats:
    """2 (f(theta*) - f(theta) - <grad f(theta), theta* - theta>) / ||theta - theta*||^2, (...); infinite at theta*.

    The constant mu of the convergence theorem is at most this wherever descent passes. For softmax the bracket is the
    mean of KL(softmax(theta x) || P).

    Args:
        world: the task.
        weights: (d, K, ...).
        distance: squared, to theta* without the gauge, (...).
    """
    apart = _mean_over_examples(world, weights, _reverse)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(distance > 0.0, 2.0 * apart / distance, np.inf)


def _mean_over_examples(world: LinearWorld, weights: Floats, divergence: Callable[[Floats, Floats], Floats]) -> Floats:
    """The mean of a divergence between P and ``p ~ P exp(z)``, given P and the differences z of logits."""
    size, classes, *shape = weights.shape
    apart = (weights - world.weights.T.reshape(size, classes, *(1,) * len(shape))).reshape(size, classes, -1)
    students, count = apart.shape[2], len(world.inputs)
    tile = max(_TILE // (classes * count), 1)
    means = np.empty(students)
    for left in range(0, students, tile):
        part = apart[:, :, left : left + tile].transpose(2, 1, 0).reshape(-1, size)
        logits = (part @ world.inputs.T).reshape(-1, classes, count)
        means[left : left + tile] = divergence(world.probabilities.T, logits).mean(axis=1)
    return means.reshape(shape)


def _excess(probabilities: Floats, logits: Floats) -> Floats:
    """KL(P || p) = log sum P exp(z) - sum P z, (students, n), of P (K, n) and z (students, K, n).

    Close to P, where the difference would lose all digits, it is ``log1p(sum P (exp(z) - 1 - z))`` with z centred under
    P and the bracket its series.
    """
    means = _expectation(probabilities, logits)
    largest = np.abs(logits).max(axis=(1, 2))
    shift = logits.max(axis=1) if largest.max() > _STEEP else np.zeros_like(means)
    result = np.log(_expectation(probabilities, np.exp(logits - shift[:, None]))) + shift - means
    close = np.flatnonzero(largest < _CLOSE)
    if len(close):
        z = logits[close] - means[close, None]
        result[close] = np.log1p(_expectation(probabilities, _rest(z)))
    return np.asarray(result)


def _reverse(probabilities: Floats, logits: Floats) -> Floats:
    """KL(p || P) = sum p z - log sum P exp(z), (students, n); close to P by series, as above."""
    z = logits - _expectation(probabilities, logits)[:, None]
    largest = np.abs(logits).max(axis=(1, 2))
    shift = z.max(axis=1) if largest.max() > _STEEP else np.zeros_like(z[:, 0])
    grown = np.exp(z - shift[:, None])
    total = _expectation(probabilities, grown)
    result = _expectation(probabilities, grown * z) / total - np.log(total) - shift
    close = np.flatnonzero(largest < _CLOSE)
    if len(close):
        z = z[close]
        above = _expectation(probabilities, _rest(z))
        result[close] = _expectation(probabilities, np.expm1(z) * z) / (1.0 + above) - np.log1p(above)
    return np.asarray(result)


def _expectation(probabilities: Floats, values: Floats) -> Floats:
    """Sum over classes of P (K, n) times values (students, K, n)."""
    return np.asarray(np.einsum("kn,skn->sn", probabilities, values))


def _rest(z: Floats) -> Floats:
    """exp(z) - 1 - z for small z; what is left out is below z^6 / 720."""
    return z * z * (0.5 + z * (1.0 / 6.0 + z * (1.0 / 24.0 + z / 120.0)))
