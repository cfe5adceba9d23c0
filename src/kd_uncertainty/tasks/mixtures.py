"""Gaussian mixtures with one covariance: tasks whose class probabilities are known in closed form.

    x | c ~ N(m_c, S),    P(c) = w_c,    P(c | x) = softmax_c(x' S^-1 m_c - m_c' S^-1 m_c / 2 + log w_c)

As all classes share S, quadratic terms cancel: softmax regression with the right weights is exact, not only close. The
defaults are those of the synthetic task of Morad, Shlezinger & Eldar (arXiv 2601.01484): 5 classes in 30 dimensions,
means with entries from {4, 5, 6}, isotropic variance 2.5.
"""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Options, Seed

Floats = NDArray[np.float64]

_MEANS, _COVARIANCE, _CLASSES, _NOISE = range(4)
"""What the numbers of one seed are for; each purpose has a stream of its own."""


class MixtureOptions(Options):
    """A mixture: given, or drawn by its seed; and how many points of it."""

    num_classes: Annotated[int, Field(ge=2)] = 5
    num_inputs: PositiveInt = 30
    num_examples: PositiveInt = 10_000
    mean_values: Annotated[tuple[float, ...], Field(min_length=1)] = (4.0, 5.0, 6.0)
    variance: PositiveFloat = Field(2.5, description="of each input within a class; their mean where they differ")
    covariance: Literal["isotropic", "shared"] = Field(
        "isotropic", description="isotropic: variance x identity; shared: a full matrix that the seed draws"
    )
    means: tuple[tuple[float, ...], ...] | None = Field(None, description="num_classes x num_inputs; null: drawn")
    weights: tuple[PositiveFloat, ...] | None = Field(None, description="of the classes, up to a factor; null: equal")
    seed: Seed = 0

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        if self.means is not None:
            rows, widths = len(self.means), sorted({len(mean) for mean in self.means})
            if rows != self.num_classes or widths != [self.num_inputs]:
                raise ValueError(
                    f"means has {rows} rows of length {' and '.join(map(str, widths))}; it needs num_classes x "
                    f"num_inputs = {self.num_classes} x {self.num_inputs}"
                )
        elif self.num_classes > len(set(self.mean_values)) ** self.num_inputs:
            raise ValueError(
                f"{len(set(self.mean_values))} mean_values in {self.num_inputs} inputs cannot make {self.num_classes} "
                "different means; give more of either"
            )
        if self.weights is not None and len(self.weights) != self.num_classes:
            raise ValueError(f"weights has {len(self.weights)} entries for {self.num_classes} classes")
        return self


class Mixture(NamedTuple):
    """Means (classes, inputs), the covariance (inputs, inputs) of every class, and weights (classes,) of sum 1."""

    means: Floats
    covariance: Floats
    weights: Floats


def make_mixture(options: MixtureOptions) -> Mixture:
    """Take the options' mixture, or draw what they leave open; a function of the seed, not of ``num_examples``."""
    weights = np.ones(options.num_classes) if options.weights is None else np.asarray(options.weights)
    means = _drawn_means(options) if options.means is None else np.asarray(options.means)
    covariance = options.variance * np.eye(options.num_inputs)
    if options.covariance == "shared":
        covariance = _drawn_covariance(options)
    return Mixture(means, covariance, weights / weights.sum())


def sample(mixture: Mixture, num_examples: int, seed: int) -> tuple[Floats, NDArray[np.int64]]:
    """Draw points: inputs (examples, inputs) and classes (examples,); fewer points are the first of more."""
    classes = np.random.default_rng([seed, _CLASSES]).random(num_examples)
    cumulative = np.cumsum(mixture.weights)
    labels = np.searchsorted(cumulative / cumulative[-1], classes, side="right")
    noise = np.random.default_rng([seed, _NOISE]).standard_normal((num_examples, len(mixture.covariance)))
    return mixture.means[labels] + noise @ np.linalg.cholesky(mixture.covariance).T, labels


def class_probabilities(mixture: Mixture, inputs: Floats) -> Floats:
    """P(c | x) of every class at any inputs (examples, inputs), (examples, classes).

    From squared distances in coordinates where the covariance is the identity: differences of points are small there,
    and a softmax of them neither overflows nor loses digits far from the origin.
    """
    root = np.linalg.cholesky(mixture.covariance)
    points, centres = (np.linalg.solve(root, values.T).T for values in (inputs, mixture.means))
    distances = np.stack([np.square(points - centre).sum(1) for centre in centres], axis=1)
    return _softmax(np.log(mixture.weights) - distances / 2)


def linear_softmax(mixture: Mixture) -> tuple[Floats, Floats]:
    """Weights (classes, inputs) and intercepts (classes,) with ``softmax(x weights' + intercepts)`` = P(c | x).

    ``weights_c = S^-1 m_c``, ``intercept_c = log w_c - m_c' S^-1 m_c / 2``; the same vector may be added to all weights
    and the same number to all intercepts.
    """
    weights = np.asarray(np.linalg.solve(mixture.covariance, mixture.means.T).T, dtype=np.float64)
    intercepts = np.log(mixture.weights) - np.einsum("ci,ci->c", weights, mixture.means) / 2
    return weights, intercepts


def _softmax(logits: Floats) -> Floats:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _drawn_means(options: MixtureOptions) -> Floats:
    """Entries uniform over ``mean_values``, drawn again until no two classes have the same mean."""
    generator = np.random.default_rng([options.seed, _MEANS])
    shape = options.num_classes, options.num_inputs
    means = generator.choice(options.mean_values, size=shape)
    while len(np.unique(means, axis=0)) < options.num_classes:
        means = generator.choice(options.mean_values, size=shape)
    return np.asarray(means, dtype=np.float64)


def _drawn_covariance(options: MixtureOptions) -> Floats:
    """A Wishart matrix with twice as many degrees of freedom as inputs, whose mean diagonal entry is the variance."""
    generator = np.random.default_rng([options.seed, _COVARIANCE])
    factors = generator.standard_normal((options.num_inputs, 2 * options.num_inputs))
    covariance = factors @ factors.T
    return np.asarray(covariance * (options.variance * options.num_inputs / np.trace(covariance)))
