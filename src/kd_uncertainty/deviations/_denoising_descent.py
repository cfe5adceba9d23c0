r"""Full-batch gradient descent of linear softmax models, and cosines with the truth, in coefficients of the examples.

From weights of 0, every step ``W += eta/n X' (T - softmax(X W))`` stays in the span of the examples: ``W = X' A``.
Descent then needs the Gram matrix ``G = X X'`` alone, ``A += eta/n (T - softmax(G A))``, however many inputs there are;
and a cosine with W* needs ``<W, W*> = <A, X W*>`` and ``|W|^2 = <A, G A>``. The same holds in the metric of the inputs'
covariance, where the cosine is the correlation of logits over the population.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from kd_uncertainty.deviations._denoising_worlds import Floats, Worlds, softmax


class Metric(NamedTuple):
    """Inner products ``<U, V> = tr(U' M V)`` of weights X' A with one another and with W*.

    Attributes:
        gram: (seeds, examples, examples), X M X'.
        truth: (seeds, examples, classes), X M W*.
        squared_length: (seeds,), of W*.
    """

    gram: Floats
    truth: Floats
    squared_length: Floats


class State(NamedTuple):
    """Models at one time.

    Attributes:
        coefficients: (seeds, arms, examples, classes), A.
        logits: (seeds, arms, examples, classes), G A.
    """

    coefficients: Floats
    logits: Floats


def metric(worlds: Worlds, scale: Floats | None = None) -> Metric:
    """Return the metric M = diag(scale); the identity if left out.

    Args:
        worlds: the tasks.
        scale: (inputs,), not negative.
    """
    root = np.ones(worlds.inputs.shape[-1]) if scale is None else np.sqrt(scale)
    x, weights = worlds.inputs * root, worlds.weights * root[:, None]
    return Metric(x @ x.transpose(0, 2, 1), x @ weights, np.asarray((weights**2).sum(axis=(1, 2))))


def smoothness(gram: Floats) -> Floats:
    """Return a bound L of the mean cross-entropy's curvature for each seed: half the top eigenvalue of X'X/n.

    The Hessian of one example's loss in its logits, ``diag(p) - p p'``, has no eigenvalue above 1/2 (Boehning 1992).
    """
    return np.asarray(np.linalg.eigvalsh(gram)[:, -1] / (2.0 * gram.shape[-1]))


def descend(gram: Floats, targets: Floats, rates: Floats, steps: Iterable[int]) -> dict[int, State]:
    """Train from weights of 0 and return the models at ``steps``.

    Args:
        gram: (seeds, examples, examples).
        targets: (seeds, arms, examples, classes); every arm and seed is trained alone.
        rates: (seeds,), learning rates.
        steps: numbers of steps, from 0, in any order.
    """
    wanted = set(steps)
    factor = (rates / gram.shape[-1])[:, None, None, None]
    coefficients, logits = np.zeros(targets.shape), np.zeros(targets.shape)
    states: dict[int, State] = {}
    for step in range(max(wanted) + 1):
        if step:
            coefficients += factor * (targets - softmax(logits))
            logits = gram[:, None] @ coefficients
        if step in wanted:
            states[step] = State(coefficients.copy(), logits)
    return states


def cosines(coefficients: Floats, metric: Metric, origin: State | None = None) -> Floats:
    """Return the cosine of weights X' A, without their gauge, with W*, or with W* less an origin, (seeds, arms).

    Args:
        coefficients: (seeds, arms, examples, classes), A.
        metric: of the inner products.
        origin: weights, of one arm or as many, from which W* is looked at; 0 if left out.
    """
    apart = coefficients - coefficients.mean(axis=-1, keepdims=True)
    truth, squared_length = metric.truth[:, None], metric.squared_length[:, None]
    if origin is not None:
        start = origin.coefficients - origin.coefficients.mean(axis=-1, keepdims=True)
        products = metric.gram[:, None] @ start
        squared_length = squared_length + _inner(start, products - 2.0 * truth)
        truth = truth - products
    lengths = np.sqrt(_inner(apart, metric.gram[:, None] @ apart) * squared_length)
    return np.asarray(_inner(apart, truth) / lengths)


def _inner(one: Floats, other: Floats) -> Floats:
    return np.asarray((one * other).sum(axis=(-2, -1)))
