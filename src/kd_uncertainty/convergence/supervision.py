r"""What a student of the linear world learns from, and the gradient noise that this has at the optimum.

Each visit of an example with probabilities P gives a fresh target ``P + e``, with ``E e = 0``:

- one-hot: a label drawn from P;
- exact: ``e = 0``;
- additive: ``e`` has K independent normal components of variance nu; the target need not sum to 1;
- Dirichlet: the target is drawn from Dirichlet(a P), a distribution over probabilities with mean P;
- mixture: ``(1 - lambda) label + lambda teacher``, with independent noise of the two.

The gradient at a student with probabilities p is ``(s p - target) (x) x`` with s the sum of the target. At ``theta*``
that is ``(sum(e) P - e) (x) x``, whose expected squared norm sigma* has closed forms (for K classes):

- one-hot: ``E[(1 - ||P||^2) ||x||^2]``;
- additive: ``nu E[(K - 2 + K ||P||^2) ||x||^2]``;
- Dirichlet: the one-hot value over ``1 + a``;
- mixture: ``(1 - lambda)^2 sigma_one_hot + lambda^2 sigma_teacher``, least at the inverse-variance rule
  ``lambda* = sigma_one_hot / (sigma_one_hot + sigma_teacher)``, which is ``(1 + a) / (2 + a)`` for Dirichlet.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np

from kd_uncertainty.convergence.world import Floats, LinearWorld
from kd_uncertainty.population.seeds import derive_seed

Teacher = Literal["exact", "additive", "dirichlet"]


class Supervision(NamedTuple):
    """A student's targets: those of a teacher, mixed with one-hot labels.

    Attributes:
        teacher: which noise the probabilities have.
        level: nu or a of that noise; NaN for exact.
        mixing: lambda, the teacher's weight; 0 is one-hot labels alone.
    """

    teacher: Teacher
    level: float = math.nan
    mixing: float = 1.0

    @property
    def arm(self) -> str:
        """The name in the tables."""
        return "one_hot" if self.mixing == 0.0 else "mixture" if self.mixing < 1.0 else self.teacher

    @property
    def keys(self) -> dict[str, str | float]:
        """The columns arm, level and mixing; one-hot labels alone have no level, and count as unmixed."""
        if self.mixing == 0.0:
            return {"arm": self.arm, "level": math.nan, "mixing": 1.0}
        return {"arm": self.arm, "level": self.level, "mixing": self.mixing}


ONE_HOT = Supervision("exact", mixing=0.0)
EXACT = Supervision("exact")


def supervisions(additive: Sequence[float], dirichlet: Sequence[float]) -> list[Supervision]:
    """One-hot labels, exact probabilities, and every teacher on its own."""
    return [
        ONE_HOT,
        EXACT,
        *(Supervision("additive", level) for level in additive),
        *(Supervision("dirichlet", level) for level in dirichlet),
    ]


def gradient_noise(world: LinearWorld, supervision: Supervision) -> float:
    """sigma*, the expected squared norm of the gradient at theta*, in closed form (see the module)."""
    norms = (world.inputs**2).sum(axis=1)
    concentration = (world.probabilities**2).sum(axis=1)
    one_hot = float(((1.0 - concentration) * norms).mean())
    if supervision.teacher == "additive":
        classes = world.num_classes
        teacher = supervision.level * float(((classes - 2.0 + classes * concentration) * norms).mean())
    else:
        teacher = one_hot / (1.0 + supervision.level) if supervision.teacher == "dirichlet" else 0.0
    return (1.0 - supervision.mixing) ** 2 * one_hot + supervision.mixing**2 * teacher


def best_mixing(world: LinearWorld, supervision: Supervision) -> float:
    """lambda*, the teacher's weight with the least gradient noise: inverse-variance weighting."""
    one_hot = gradient_noise(world, ONE_HOT)
    return one_hot / (one_hot + gradient_noise(world, supervision._replace(mixing=1.0)))


def break_even(world: LinearWorld) -> float:
    """nu*, the variance of additive noise whose gradients are as noisy as those of one-hot labels."""
    return gradient_noise(world, ONE_HOT) / gradient_noise(world, Supervision("additive", 1.0))


class Source(NamedTuple):
    """A source of noise that several supervisions share, each with a weight of its own."""

    name: str
    level: float = math.nan


class Noise(NamedTuple):
    """Supervisions as weights of their sources.

    Attributes:
        sources: what is drawn.
        weights: (supervisions, sources); ``e`` is the weighted sum.
    """

    sources: list[Source]
    weights: Floats


def noise_of(arms: Sequence[Supervision]) -> Noise:
    """Take supervisions apart, so that arms share their labels and differ by what sets them apart alone.

    Additive noise is drawn with variance 1 for all levels. A Dirichlet's level is its shape, so each is a source.
    """
    parts = [list(_parts(arm)) for arm in arms]
    sources = list(dict.fromkeys(source for part in parts for source, _ in part))
    weights = np.zeros((len(arms), len(sources)))
    for row, part in enumerate(parts):
        for source, weight in part:
            weights[row, sources.index(source)] = weight
    return Noise(sources, weights)


def _parts(arm: Supervision) -> list[tuple[Source, float]]:
    parts = [(Source("one_hot"), 1.0 - arm.mixing)]
    if arm.teacher == "additive":
        parts.append((Source("additive"), arm.mixing * math.sqrt(arm.level)))
    elif arm.teacher == "dirichlet":
        parts.append((Source("dirichlet", arm.level), arm.mixing))
    return [(source, weight) for source, weight in parts if weight > 0.0]


def deviations(source: Source, probabilities: Floats, generators: Sequence[np.random.Generator]) -> Floats:
    """Draw what the source adds to the probabilities, (..., K), independently for every row.

    A Dirichlet draw is K gamma variates over their sum. It is taken on the logarithmic scale with
    ``log Gamma(s) = log Gamma(s + 1) + log(U) / s`` (Marsaglia & Tsang 2000, section 6), as the variates of a small
    shape are all below the smallest number.

    Args:
        source: what is drawn.
        probabilities: (..., K), the mean of the target.
        generators: two; of the labels, normals or gammas, and of the uniform numbers U.
    """
    first, second = generators
    if source.name == "one_hot":
        drawn = first.random(probabilities.shape[:-1])
        edges = np.cumsum(probabilities[..., :-1], axis=-1)
        labels = (drawn[..., None] >= edges).sum(axis=-1)
        return np.asarray(np.eye(probabilities.shape[-1])[labels] - probabilities)
    if source.name == "additive":
        return first.standard_normal(probabilities.shape)
    shapes = np.maximum(source.level * probabilities, 1e-300)  # a class that never happens gets nothing
    with np.errstate(over="ignore"):
        logs = np.log(first.standard_gamma(shapes + 1.0)) + np.log1p(-second.random(shapes.shape)) / shapes
    logs -= logs.max(axis=-1, keepdims=True)
    np.exp(logs, out=logs)
    return np.asarray(logs / logs.sum(axis=-1, keepdims=True) - probabilities)


def generators_of(seed: int, purpose: str, source: Source) -> list[np.random.Generator]:
    """The two generators of one source for :func:`deviations`, a function of seed, purpose and source alone."""
    keys = (purpose, source.name, repr(source.level))
    return [np.random.Generator(np.random.Philox(derive_seed(seed, *keys, part))) for part in ("values", "uniforms")]


class LabelStreams:
    """The examples that students visit, and the noise of their labels, drawn in blocks from each seed's generators.

    Step t of a seed depends on the seed, the world and t alone: not on other seeds, on how far the run goes, nor on
    the other sources. All arms of a seed see the same examples and, where they share a source, the same noise.
    """

    BLOCK = 256
    """Steps drawn at once; part of what a seed's numbers are."""

    def __init__(self, world: LinearWorld, sources: Sequence[Source], seeds: Sequence[int]) -> None:
        self._probabilities = world.probabilities
        self._sources = sources
        self._orders = [np.random.Generator(np.random.Philox(derive_seed(seed, "examples"))) for seed in seeds]
        self._noise = [[generators_of(seed, "labels", source) for source in sources] for seed in seeds]

    def draw(self) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.intp]], Floats]:
        """Return the rows (BLOCK, seeds) of the next steps, and their deviations (sources, BLOCK, K, seeds)."""
        count, classes = self._probabilities.shape
        rows = np.empty((self.BLOCK, len(self._orders)), dtype=np.intp)
        noise = np.empty((len(self._sources), self.BLOCK, classes, len(self._orders)))
        for column, order in enumerate(self._orders):
            rows[:, column] = order.random(self.BLOCK) * count
            visited = self._probabilities[rows[:, column]]
            for row, source in enumerate(self._sources):
                noise[row, :, :, column] = deviations(source, visited, self._noise[column][row])
        return rows, noise
