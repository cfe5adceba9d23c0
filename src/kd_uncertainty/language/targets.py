"""Which of its k responses a student is trained on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import Method

Floats = NDArray[np.floating]
Integers = NDArray[np.int64]

PRIOR_DRAWS = 4.0
"""Draws that the mean over prompts is worth where a prompt's own variance is estimated."""
_TIE = 1e-9


class StudentSide(NamedTuple):
    """What is known of students before they are trained.

    Attributes:
        mean: (prompts, dimensions), the mean embedding of their answers.
        variance: (prompts,), the trace of its uncertainty: that of an untrained student's answers, or of pilots' mean.
    """

    mean: Floats
    variance: Floats


def choose(method: Method, embeddings: Floats, student: StudentSide | None = None) -> tuple[Integers, Floats]:
    """Return which responses are kept, (prompts, m) positions among the k, and their weights, (prompts, m).

    ``multi`` and ``token`` keep all k with weight 1/k. The others keep one: ``averaging`` the one nearest to the mean
    embedding of the k; ``variance_paper`` and ``variance_honest`` the one nearest to :func:`inverse_variance_mean`.
    Equally near ones give the first (arXiv 2601.18909, language models).

    Args:
        method: which.
        embeddings: (prompts, k, dimensions) of the responses.
        student: the student's side of the variance weightings.

    Raises:
        UserError: a variance weighting has no student's side.
    """
    prompts, count, _ = embeddings.shape
    if method in ("multi", "token"):
        every = np.broadcast_to(np.arange(count, dtype=np.int64), (prompts, count))
        return every.copy(), np.full((prompts, count), 1.0 / count)
    centre = np.asarray(embeddings, dtype=np.float64).mean(axis=1)
    if method != "averaging":
        if student is None:
            raise UserError(f"students.arms: method {method} needs what is known of students, and there is none")
        variance = sample_variance(embeddings) if method == "variance_paper" else variance_of_mean(embeddings)
        centre = inverse_variance_mean(centre, variance, student)
    return nearest(embeddings, centre)[:, None], np.ones((prompts, 1))


def nearest(embeddings: Floats, centre: Floats) -> Integers:
    """Return the position of the response nearest to a point, (prompts,); of equally near ones the first.

    Args:
        embeddings: (prompts, k, dimensions).
        centre: (prompts, dimensions).
    """
    squares = np.square(np.asarray(embeddings, dtype=np.float64) - centre[:, None]).sum(axis=-1)
    best = squares.min(axis=1, keepdims=True)
    near: Integers = np.argmax(squares <= best + _TIE * (1.0 + best), axis=1).astype(np.int64)
    return near


def inverse_variance_mean(teacher_mean: Floats, teacher_variance: Floats, student: StudentSide) -> Floats:
    """Return ``w mean_T + (1 - w) mean_S`` with ``w = (1 / v_T) / (1 / v_T + 1 / v_S) = v_S / (v_T + v_S)``.

    It has the least variance of all weighted means of two independent, unbiased estimates. Two variances of 0 weigh a
    half each.

    Args:
        teacher_mean: (prompts, dimensions).
        teacher_variance: v_T, (prompts,).
        student: mean_S and v_S.
    """
    total = teacher_variance + student.variance
    weight = np.divide(student.variance, total, out=np.full(len(total), 0.5), where=total > 0.0)[:, None]
    mean: Floats = weight * teacher_mean + (1.0 - weight) * student.mean
    return mean


def sample_variance(embeddings: Floats) -> Floats:
    """Return the trace of the covariance of the k responses with ddof 0, (prompts,), as the paper weighs them."""
    variance: Floats = np.asarray(embeddings, dtype=np.float64).var(axis=1).sum(axis=-1)
    return variance


def variance_of_mean(embeddings: Floats) -> Floats:
    """Return the variance of the mean of k responses, (prompts,): ``V / k``, with V of each prompt shrunk to all.

    ``V_x = ((k - 1) V_x^ + c V^) / (k - 1 + c)`` with the unbiased ``V_x^``, its mean V^ over prompts, and c = 4 draws.
    For k = 1, where nothing is known of V, it is 1 everywhere: there is no choice then, whatever the weights.
    """
    count = embeddings.shape[1]
    if count == 1:
        return np.ones(len(embeddings))
    own = sample_variance(embeddings) * (count / (count - 1))
    shrunk: Floats = ((count - 1) * own + PRIOR_DRAWS * own.mean()) / (count - 1 + PRIOR_DRAWS)
    of_mean: Floats = shrunk / count
    return of_mean


def untrained_side(embeddings: Floats) -> StudentSide:
    """Return the paper's side: mean and variance (ddof 0) of an untrained student's k answers.

    Args:
        embeddings: (prompts, k, dimensions).
    """
    return StudentSide(np.asarray(embeddings, dtype=np.float64).mean(axis=1), sample_variance(embeddings))


def pilot_side(embeddings: Floats) -> StudentSide:
    """Return the honest side: the mean over trained pilots, and the variance of that mean, shrunk like the teacher's.

    Args:
        embeddings: (pilots, prompts, answers, dimensions), at least two pilots.
    """
    means = np.moveaxis(np.asarray(embeddings, dtype=np.float64).mean(axis=2), 0, 1)
    return StudentSide(means.mean(axis=1), variance_of_mean(means))
