r"""Prompts whose answer distributions are known, and draws from them.

Every prompt x has A answers with probabilities ``p_x ~ Dirichlet(c, ..., c)`` and embeddings ``e_xa``, independent
and uniform on the unit sphere, so that the nearest answer is the same by distance and by cosine. An untrained student
has opinions of its own, ``q_x``, drawn from the same Dirichlet: it knows the answers and not which are right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaincinv

from kd_uncertainty.language.options import SurrogateOptions
from kd_uncertainty.population.counter import as_seeds
from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.seeds import derive_seed, uniforms

Floats = NDArray[np.float64]
Answers = NDArray[np.int64]
"""Numbers of answers, from 0."""


class World(NamedTuple):
    """A teacher as a table, and a student before training.

    Attributes:
        teacher: probabilities of answers, (prompts, answers), p.
        untrained: those of a student before training, (prompts, answers), q.
        embeddings: (prompts, answers, dimensions), of unit length.
    """

    teacher: Floats
    untrained: Floats
    embeddings: Floats

    def points(self, space: str) -> Floats:
        """Return where answers lie, (prompts, answers, dimensions): their embeddings, or a corner each."""
        prompts, answers = self.teacher.shape
        return (
            self.embeddings if space == "embedding" else np.broadcast_to(np.eye(answers), (prompts, answers, answers))
        )


def draw_world(options: SurrogateOptions) -> World:
    """Draw probabilities and embeddings, a pure function of the options' sizes, concentration and seed."""
    prompts, answers, dimensions = options.num_prompts, options.num_answers, options.embedding_dim
    seeds = as_seeds([derive_seed(options.seed, "embeddings")])
    normals = standard_normals(seeds, 0, prompts * answers * dimensions).reshape(prompts, answers, dimensions)
    return World(
        _dirichlet(derive_seed(options.seed, "teacher"), (prompts, answers), options.concentration),
        _dirichlet(derive_seed(options.seed, "untrained"), (prompts, answers), options.concentration),
        normals / np.linalg.norm(normals, axis=-1, keepdims=True),
    )


def draw_answers(probabilities: Floats, seed: int, rows: int, count: int) -> Answers:
    """Draw independent answers to every prompt, (rows, prompts, count).

    Args:
        probabilities: (prompts, answers).
        seed: of the draws.
        rows: for instance students.
        count: answers to each prompt.
    """
    prompts = len(probabilities)
    numbers = uniforms(seed, 0, rows * prompts * count).reshape(rows, prompts, count)
    below = np.cumsum(probabilities, axis=-1)[:, None, :-1] <= numbers[..., None]
    return np.asarray(below.sum(axis=-1), dtype=np.int64)


def spread(probabilities: Floats, points: Floats) -> Floats:
    """Return the trace of the covariance of a random answer's point, ``1/2 sum_ab p_a p_b |e_a - e_b|^2``, (...).

    It is exactly 0 for one sure answer, which ``E |e|^2 - |E e|^2`` would not be.

    Args:
        probabilities: (..., answers).
        points: (..., answers, dimensions).
    """
    distances = np.square(points[..., :, None, :] - points[..., None, :, :]).sum(axis=-1)
    towards = (probabilities[..., None, :] @ distances)[..., 0, :]
    return np.asarray((towards * probabilities).sum(axis=-1) / 2.0)


def _dirichlet(seed: int, shape: tuple[int, int], concentration: float) -> Floats:
    """Gamma variables over their sum, by the inverse of their distribution function."""
    numbers = uniforms(seed, 0, shape[0] * shape[1]).reshape(shape)
    # of tiny concentrations all gamma variables of a prompt could underflow to 0
    gammas = np.maximum(gammaincinv(concentration, numbers), np.finfo(np.float64).tiny)
    return np.asarray(gammas / gammas.sum(axis=-1, keepdims=True))
