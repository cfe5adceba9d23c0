"""The tasks of the eigenspace study: anisotropic Gaussians, or examples of the caller, afresh for each seed."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Options, Share

Floats = NDArray[np.float64]

_RANK_TOLERANCE = 1e-9
"""Directions with less than this share of the top one's variance are rounding."""
_MOST_DRAWN = 0.8


class GaussianOptions(Options):
    """Normal inputs whose covariance has eigenvalues ``k^-decay`` along directions drawn at random."""

    num_inputs: int = Field(20, ge=2)
    num_classes: int = Field(3, ge=2)
    decay: NonNegativeFloat = Field(1.5, description="of the spectrum")
    signal: PositiveFloat = Field(3.0, description="logits are this times a standard normal combination of the inputs")
    label_noise: Share = Field(0.2, description="share of labels that are drawn anew from all classes")


class Task(NamedTuple):
    """A task for each seed.

    Attributes:
        inputs: (seeds, examples, inputs), centred, with top eigenvalue 1 of the covariance.
        targets: (seeds, examples, classes), one-hot labels with their noise.
        seeds: (seeds,).
    """

    inputs: Floats
    targets: Floats
    seeds: tuple[int, ...]


class Eigen(NamedTuple):
    """Leading eigenvalues (seeds, directions), falling, and eigenvectors (seeds, inputs, directions)."""

    values: Floats
    vectors: Floats


def gaussian_task(options: GaussianOptions, examples: int, seeds: tuple[int, ...]) -> Task:
    """Draw a task for each seed: inputs, the linear softmax model that labels them, labels and their noise.

    Args:
        options: of inputs and labels.
        examples: of each seed.
        seeds: one a task.
    """
    spectrum = np.arange(1, options.num_inputs + 1) ** (-options.decay / 2.0)
    inputs, labels = [], []
    for seed in seeds:
        generator = _generator(seed, "gaussian")
        normal = generator.standard_normal((examples, options.num_inputs)) * spectrum
        logits = options.signal * normal @ generator.standard_normal((options.num_inputs, options.num_classes))
        drawn = (logits + generator.gumbel(size=logits.shape)).argmax(axis=1)
        rotation = np.linalg.qr(generator.standard_normal((options.num_inputs, options.num_inputs)))[0]
        inputs.append(normal @ rotation)
        anew = generator.random(examples) < options.label_noise
        labels.append(np.where(anew, generator.integers(0, options.num_classes, examples), drawn))
    return _task(np.stack(inputs), np.stack(labels), options.num_classes, seeds)


def drawn_task(
    inputs: NDArray[Any], labels: NDArray[Any], examples: int, most_inputs: int, seeds: tuple[int, ...]
) -> Task:
    """Draw examples of a task at random for each seed, without replacement.

    Args:
        inputs: (n, inputs) of the training split.
        labels: (n,) classes from 0.
        examples: of each seed, but at most four fifths of all, so that seeds differ.
        most_inputs: of more, that many leading principal components of all examples are taken instead.
        seeds: one a task.

    Raises:
        UserError: inputs and labels do not match, inputs are not finite, or labels no two classes from 0.
    """
    inputs, labels = np.asarray(inputs, dtype=np.float64), np.asarray(labels)
    if inputs.ndim != 2 or len(inputs) != len(labels) or len(inputs) < 4:
        raise UserError(
            f"eigenspace: inputs {inputs.shape} and labels {labels.shape} do not match; give (n, features) and (n,), "
            "n at least 4"
        )
    if not np.isfinite(inputs).all():
        raise UserError("eigenspace: inputs must be finite numbers; impute or drop the examples that are not")
    if labels.min() < 0 or labels.max() < 1:
        raise UserError("eigenspace: labels must be classes from 0, at least two; encode the target column")
    labels, num_classes = labels.astype(np.int64), int(labels.max()) + 1
    if inputs.shape[1] > most_inputs:
        centred = inputs - inputs.mean(axis=0)
        inputs = centred @ np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :most_inputs]
    count = min(examples, int(_MOST_DRAWN * len(inputs)))
    chosen = np.stack([np.sort(_generator(seed, "drawn").permutation(len(inputs))[:count]) for seed in seeds])
    if (labels[chosen] == labels[chosen][:, :1]).all(axis=1).any():
        raise UserError("eigenspace: the examples of a seed are all of one class; raise num_examples")
    return _task(inputs[chosen], labels[chosen], num_classes, seeds)


def eigen(inputs: Floats, most: int) -> Eigen:
    """The leading directions of centred inputs' covariance ``X' X / n``; as many for every seed.

    Args:
        inputs: (seeds, examples, inputs).
        most: directions, at most; fewer if the inputs of a seed do not vary in so many.

    Raises:
        UserError: inputs vary in one direction alone.
    """
    values, vectors = np.linalg.eigh(np.swapaxes(inputs, 1, 2) @ inputs / inputs.shape[1])
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]
    count = min(most, int((values > _RANK_TOLERANCE * values[:, :1]).sum(axis=1).min()))
    if count < 2:
        raise UserError(
            "eigenspace: the inputs vary in one direction alone, and a pair takes two; use more examples or inputs"
        )
    return Eigen(values[:, :count].copy(), vectors[:, :, :count].copy())


def _task(inputs: Floats, labels: NDArray[np.int64], num_classes: int, seeds: tuple[int, ...]) -> Task:
    inputs = inputs - inputs.mean(axis=1, keepdims=True)
    top = np.sqrt(np.linalg.norm(inputs, ord=2, axis=(1, 2)) ** 2 / inputs.shape[1])
    scale = np.where(top > 0.0, top, 1.0)[:, None, None]
    return Task(np.asarray(inputs / scale), np.eye(num_classes)[labels], seeds)


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(derive_seed(seed, "eigenspace", purpose)))
