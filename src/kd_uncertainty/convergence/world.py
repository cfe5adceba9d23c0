r"""A task's linear softmax world: the class probabilities are known, and a linear student can reach them.

The world is fitted to a task and then taken as the truth: inputs are whitened principal components of the task's
inputs, ``theta*`` is a ridge softmax regression on them, and the Bayes class probabilities are *defined* as
``P = softmax(x theta*')``. So the student is realisable by construction, whatever the task, and the statements on
stochastic gradient descent with Bayesian teachers (Morad, Shlezinger & Eldar, arXiv 2601.01484) can be checked exactly:
the minimiser, the gradient noise and the curvature are all known.

Only differences of logits matter: adding one vector to the weights of all classes changes nothing (the gauge). Here
the weights of the classes sum to 0, and gradients never leave that space, as probabilities sum to 1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt
from scipy.optimize import brentq, minimize

from kd_uncertainty.convergence.curvature import strong_convexity
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Options, Seed

Floats = NDArray[np.float64]

_RANK_TOLERANCE = 1e-5
"""Principal components and columns that vary less than this, relative to the largest, are rounding of 32-bit inputs."""
_SUM_TOLERANCE = 1e-5
_NO_WEIGHTS = 1e-6


class WorldOptions(Options):
    """How a task is made into a linear softmax world."""

    num_examples: PositiveInt = Field(256, description="training examples, drawn at random; all if there are fewer")
    num_components: PositiveInt = Field(4, description="whitened principal components; as many as there are, if fewer")
    intercept: bool = Field(True, description="whether inputs have a column of ones beside the components")
    clip: PositiveFloat | None = Field(
        3.0,
        description="inputs further than this many standard deviations from their mean are drawn in to it, and so are "
        "examples whose components are further out than half as many times their usual norm: one outlier would set "
        "the step size of all; null leaves them",
    )
    ridge: PositiveFloat = Field(1e-3, description="penalty on squared weights of the fit, in nats")
    conditioning: float | None = Field(
        4.0,
        gt=1.0,
        description="weights are shrunk until the condition number L / mu is at most this multiple of the one at "
        "weights of zero: near-certain labels leave next to no curvature, and nothing converges; null leaves them",
    )
    seed: Seed = 8


class LinearWorld(NamedTuple):
    """A realisable task.

    Attributes:
        inputs: (n, d), each example as likely as any other.
        weights: (K, d), theta*; they sum to 0 over the classes.
        probabilities: (n, K) = softmax(inputs weights').
    """

    inputs: Floats
    weights: Floats
    probabilities: Floats

    @property
    def num_classes(self) -> int:
        """K."""
        return len(self.weights)


def linear_world(
    inputs: NDArray[Any], labels: NDArray[Any], bayes: NDArray[Any] | None = None, options: WorldOptions | None = None
) -> LinearWorld:
    """Make a task into a realisable linear softmax world.

    Args:
        inputs: (n, features) of the training split.
        labels: (n,) classes from 0.
        bayes: (n, K) probabilities of the labels, if the task knows them; theta* is then fitted to them.
        options: of the world.

    Returns:
        The world; classes that have no example (no probability) in it are left out.

    Raises:
        UserError: if inputs do not vary or are not finite, or there are fewer than two classes, or nothing to learn.
    """
    options = options or WorldOptions()
    inputs, targets = _checked(np.asarray(inputs, dtype=np.float64), np.asarray(labels), bayes)
    if len(inputs) > options.num_examples:
        generator = np.random.Generator(np.random.Philox(derive_seed(options.seed, "examples")))
        chosen = np.sort(generator.permutation(len(inputs))[: options.num_examples])
        inputs, targets = inputs[chosen], targets[chosen]
    targets = targets[:, targets.sum(axis=0) > 0.0]
    if targets.shape[1] < 2:
        raise UserError(
            "linear world: its examples are all of one class; check the target column or raise world.num_examples"
        )
    design = whitened(inputs, options.num_components, options.clip)
    if options.intercept:
        design = np.column_stack([design, np.ones(len(design))])
    weights = _softmax_regression(design, targets, options.ridge)
    if np.abs(weights).max() < _NO_WEIGHTS:
        raise UserError(
            "linear world: all classes are equally likely whatever the inputs, so that there is nothing to learn; "
            "check the inputs and the Bayes probabilities"
        )
    weights *= _shrinkage(design, weights, options.conditioning)
    return LinearWorld(design, weights, softmax(design, weights))


def softmax(inputs: Floats, weights: Floats) -> Floats:
    """Class probabilities (n, K) of weights (K, d).

    Sums run from the first term to the last, as in :mod:`~kd_uncertainty.convergence.descent`, so that a student at
    ``theta*`` has the very same probabilities, bit for bit.
    """
    logits = inputs[:, :1] * weights[:, 0]
    for column in range(1, inputs.shape[1]):
        logits += inputs[:, column : column + 1] * weights[:, column]
    logits -= logits.max(axis=1, keepdims=True)
    np.exp(logits, out=logits)
    total = logits[:, 0].copy()
    for klass in range(1, len(weights)):
        total += logits[:, klass]
    return np.asarray(logits / total[:, None])


def whitened(inputs: Floats, num_components: int, clip: float | None = None) -> Floats:
    """The leading principal components of the standardised inputs with variance 1, (n, at most num_components).

    Args:
        inputs: (n, features); constant and dependent columns do no harm.
        num_components: at most.
        clip: standardised inputs are limited to it, and rows of components to half as many times their root mean
            square norm, sqrt(components).

    Raises:
        UserError: if no column varies.
    """
    centred = inputs - inputs.mean(axis=0)
    scale = centred.std(axis=0)
    varies = scale > _RANK_TOLERANCE * np.abs(inputs).max(axis=0)
    if not varies.any():
        raise UserError(
            "linear world: no input varies over the training examples; a linear student needs one that does"
        )
    standardised = centred[:, varies] / scale[varies]
    rank = _rank(np.linalg.svd(standardised, compute_uv=False))  # limits would make dependent columns independent
    if clip is not None:
        standardised = np.clip(standardised, -clip, clip)
        standardised -= standardised.mean(axis=0)
    left, sizes, right = np.linalg.svd(standardised, full_matrices=False)
    kept = min(num_components, rank, _rank(sizes))
    # The sign of a component is the library's choice; here its largest loading is positive.
    largest = np.abs(right[:kept]).argmax(axis=1)
    components = left[:, :kept] * np.sqrt(len(inputs)) * np.sign(right[np.arange(kept), largest])
    if clip is None:
        return np.asarray(components)
    norms = np.linalg.norm(components, axis=1, keepdims=True)
    return np.asarray(components * np.minimum(1.0, clip / 2.0 * np.sqrt(kept) / np.maximum(norms, 1e-300)))


def _rank(sizes: Floats) -> int:
    return int((sizes > _RANK_TOLERANCE * sizes[0]).sum())


def _checked(inputs: Floats, labels: NDArray[Any], bayes: NDArray[Any] | None) -> tuple[Floats, Floats]:
    """Return inputs and targets (n, K): the Bayes probabilities or one-hot labels."""
    if inputs.ndim != 2 or 0 in inputs.shape or len(inputs) != len(labels):
        raise UserError(
            f"linear world: inputs {inputs.shape} and labels {labels.shape} do not match; give (n, features) and (n,)"
        )
    if not np.isfinite(inputs).all():
        raise UserError("linear world: inputs must be finite numbers; impute or drop the examples that are not")
    if labels.min() < 0:
        raise UserError("linear world: labels must be classes from 0; encode the target column")
    if bayes is None:
        return inputs, np.eye(int(labels.max()) + 1)[labels.astype(np.int64)]
    targets = np.asarray(bayes, dtype=np.float64)
    if targets.ndim != 2 or len(targets) != len(inputs):
        raise UserError(f"linear world: Bayes probabilities {targets.shape} must be ({len(inputs)}, classes)")
    if not (targets >= 0.0).all() or (np.abs(targets.sum(axis=1) - 1.0) > _SUM_TOLERANCE).any():
        raise UserError("linear world: Bayes probabilities must not be negative and sum to 1 for every example")
    return inputs, targets


def _softmax_regression(inputs: Floats, targets: Floats, ridge: float) -> Floats:
    """Minimise mean cross-entropy + ridge ||weights||^2 / 2; (K, d), summing to 0 over the classes.

    How exactly it is minimised matters little, as the world takes the outcome for the truth.
    """
    shape = targets.shape[1], inputs.shape[1]

    def objective(flat: Floats) -> tuple[float, Floats]:
        logits = inputs @ flat.reshape(shape).T
        logits -= logits.max(axis=1, keepdims=True)
        totals = np.exp(logits).sum(axis=1, keepdims=True)
        losses = targets.sum(axis=1) * np.log(totals[:, 0]) - (targets * logits).sum(axis=1)
        errors = targets.sum(axis=1, keepdims=True) * np.exp(logits) / totals - targets
        gradient = errors.T @ inputs / len(inputs) + ridge * flat.reshape(shape)
        return float(losses.mean() + ridge * (flat @ flat) / 2.0), gradient.ravel()

    found = minimize(objective, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 500})
    weights = np.asarray(found.x).reshape(shape)
    return np.asarray(weights - weights.mean(axis=0))


def _shrinkage(inputs: Floats, weights: Floats, conditioning: float | None) -> float:
    """The factor, at most 1, with which mu is at least that of weights of zero over ``conditioning``."""
    if conditioning is None:
        return 1.0

    def shortfall(factor: float) -> float:
        return conditioning * strong_convexity(inputs, softmax(inputs, factor * weights)) / flat - 1.0

    flat = strong_convexity(inputs, softmax(inputs, 0.0 * weights))
    return 1.0 if shortfall(1.0) >= 0.0 else float(brentq(shortfall, 0.0, 1.0, xtol=1e-12))
