r"""Tasks with groups of similar classes and known class probabilities, one a seed.

Inputs are ``x ~ N(0, diag(v))`` with a top block of high variance and a tail. With orthonormal directions ``u`` of
groups and ``e`` of classes, class k of group g has the weights

    w*_k = c (sqrt(s) u_g + sqrt(1 - s) e_k)     (less their mean over classes, which is the softmax's gauge),

so that two classes of a group have cosine s (before the mean is taken away) and others 0. Directions are uniform among
those of the top block, or among all. ``c`` gives every logit, on average over directions, the same variance in both.
Labels are drawn from ``P* = softmax(W* x)``.

Worlds of one seed have the same inputs, normals of directions, and uniform numbers of labels, whatever signal and
similarity, and depend on their own seed alone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.deviations._denoising_options import DenoisingOptions, Signal
from kd_uncertainty.population.counter import as_seeds
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.seeds import derive_seed, uniforms

Floats = NDArray[np.float64]
Labels = NDArray[np.intp]

_INPUTS, _DIRECTIONS, _LABELS = 0, 1, 2


class Worlds(NamedTuple):
    """Training examples and truth of each seed's task.

    Attributes:
        inputs: (seeds, examples, inputs).
        weights: (seeds, inputs, classes), W*, with mean 0 over the classes.
        probabilities: (seeds, examples, classes), P*.
        labels: (seeds, examples), from 0.
        variances: (inputs,), of the inputs' distribution.
    """

    inputs: Floats
    weights: Floats
    probabilities: Floats
    labels: Labels
    variances: Floats

    @property
    def one_hot(self) -> Floats:
        """Labels as probabilities, (seeds, examples, classes)."""
        return np.asarray(np.eye(self.weights.shape[-1])[self.labels])


def draw_worlds(options: DenoisingOptions, signal: Signal, similarity: float) -> Worlds:
    """Draw one world a seed.

    Args:
        options: sizes, variances and seeds.
        signal: where class weights live.
        similarity: cosine of the weights of two classes of a group.
    """
    seeds = [derive_seed(options.seed, "world", number) for number in range(options.num_seeds)]
    examples, inputs = options.num_examples, options.num_inputs
    blocks = [options.top_size, options.tail_size]
    variances = np.repeat([options.top_variance, options.tail_variance], blocks)
    normals = standard_normals(as_seeds(seeds), _INPUTS, examples * inputs)
    x = normals.reshape(len(seeds), examples, inputs) * np.sqrt(variances)
    weights = _weights(options, seeds, signal, similarity, variances)
    probabilities = softmax(x @ weights)
    numbers = np.stack([uniforms(seed, _LABELS, examples) for seed in seeds])
    return Worlds(x, weights, probabilities, drawn_labels(probabilities, numbers), variances)


def drawn_labels(probabilities: Floats, numbers: Floats) -> Labels:
    """Return the class of each example by the inverse of its distribution function.

    Args:
        probabilities: (..., classes).
        numbers: (...), uniform in [0, 1).
    """
    below = np.cumsum(probabilities, axis=-1)[..., :-1] <= numbers[..., None]
    return np.asarray(below.sum(axis=-1))


def softmax(logits: Floats) -> Floats:
    """Return the probabilities of logits (..., classes)."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _weights(
    options: DenoisingOptions, seeds: list[int], signal: Signal, similarity: float, variances: Floats
) -> Floats:
    """Return W*, (seeds, inputs, classes)."""
    groups, count, inputs = options.num_groups, options.num_groups + options.num_classes, options.num_inputs
    used = options.top_size if signal == "top" else inputs
    normals = standard_normals(as_seeds(seeds), _DIRECTIONS, inputs * count).reshape(len(seeds), inputs, count)
    directions = np.zeros(normals.shape)
    directions[:, :used] = np.linalg.qr(normals[:, :used])[0]
    of_groups = np.repeat(directions[..., :groups], options.group_size, axis=-1)
    weights = np.sqrt(similarity) * of_groups + np.sqrt(1.0 - similarity) * directions[..., groups:]
    weights *= options.logit_deviation / np.sqrt(variances[:used].mean())
    return np.asarray(weights - weights.mean(axis=-1, keepdims=True))
