r"""Exact laws of tabular students, by enumeration of what the teacher may have said.

k answers with probabilities p are seen as counts n ~ Multinomial(k, p); there are ``C(k + A - 1, A - 1)`` of them. A
student of all answers is n / k. A student of one kept answer is a point mass, so that the law of that answer says all:
the student has no variance of its own, and students differ by the variance of the kept answer. Where answers are
equally near to the target, the first draw among them is kept: a with probability ``n_a / sum of tied n``.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np
from scipy.special import gammaln, xlogy

from kd_uncertainty.language._surrogate_world import Answers, Floats, spread

MAX_OUTCOMES = 20_000
"""Counts that are still enumerated for each prompt."""
TIE = 1e-9
"""Squared distances that differ by less are equal; embeddings have length 1."""


class Law(NamedTuple):
    """The law of a student.

    Attributes:
        weights: how probable each student is, (prompts, students).
        students: the student's own distribution of answers, (prompts, students, answers).
    """

    weights: Floats
    students: Floats


class Moments(NamedTuple):
    """Means over prompts, in squared units of the points.

    Attributes:
        intra: variance of a student's answers, mean over students.
        inter: variance of students' mean answers.
        total: of an answer of a random student, intra + inter.
        bias: squared distance of the students' mean answer from the teacher's.
    """

    intra: float
    inter: float
    total: float
    bias: float


def num_outcomes(num_responses: int, num_answers: int) -> int:
    """``C(k + A - 1, A - 1)``, without overflow."""
    count = 1
    for step in range(1, num_answers):
        count = count * (num_responses + step) // step
    return count


def outcomes(num_responses: int, num_answers: int) -> Answers:
    """Return all counts of k answers, (outcomes, answers), by stars and bars."""
    places = num_responses + num_answers - 1
    bars = np.array(list(combinations(range(places), num_answers - 1)), dtype=np.int64)
    ends = np.insert(bars, (0, num_answers - 1), (-1, places), axis=1)
    return np.asarray(np.diff(ends, axis=1) - 1)


def outcome_probabilities(counts: Answers, probabilities: Floats) -> Floats:
    """Return the multinomial probability of every outcome for every prompt, (prompts, outcomes).

    Args:
        counts: (outcomes, answers).
        probabilities: (prompts, answers).
    """
    ways = gammaln(counts.sum(axis=1) + 1.0) - gammaln(counts + 1.0).sum(axis=1)
    return np.asarray(np.exp(ways + xlogy(counts, probabilities[:, None]).sum(axis=-1)))


def kept_law(chance: Floats, counts: Answers, embeddings: Floats, targets: Floats) -> Law:
    """Return the law of students that are trained on the one answer nearest to a target.

    Args:
        chance: (prompts, outcomes).
        counts: (outcomes, answers).
        embeddings: (prompts, answers, dimensions).
        targets: (prompts, outcomes, dimensions).
    """
    distance = np.square(targets[:, :, None] - embeddings[:, None]).sum(axis=-1)
    distance = np.where(counts > 0, distance, np.inf)
    tied = np.where(distance <= distance.min(axis=-1, keepdims=True) + TIE, counts, 0)
    kept = np.einsum("po,poa->pa", chance, tied / tied.sum(axis=-1, keepdims=True))
    return Law(kept, np.broadcast_to(np.eye(kept.shape[1]), (*kept.shape, kept.shape[1])))


def moments(law: Law, teacher: Floats, points: Floats) -> Moments:
    """Return the exact variances of a law.

    Args:
        law: of students.
        teacher: (prompts, answers).
        points: (prompts, answers, dimensions).
    """
    means = law.students @ points
    intra = np.einsum("ps,ps->p", law.weights, spread(law.students, points[:, None]))
    centre = np.einsum("ps,psd->pd", law.weights, means)
    inter = np.einsum("ps,psd->p", law.weights, np.square(means - centre[:, None]))
    bias = np.square(centre - np.einsum("pa,pad->pd", teacher, points)).sum(axis=-1)
    return Moments(*(float(values.mean()) for values in (intra, inter, intra + inter, bias)))
