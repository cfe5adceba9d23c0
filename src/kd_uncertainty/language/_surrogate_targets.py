r"""What tabular students' kept answers shall be near to, for many students or outcomes at once.

Formulas and choices are those of :mod:`~kd_uncertainty.language.targets`, with one difference: the honest form shrinks
the variance of k responses towards its mean over prompts, which couples prompts to one another; here that mean is
known, as if it were of infinitely many prompts, so that every prompt can be enumerated by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kd_uncertainty.language import targets
from kd_uncertainty.language._surrogate_world import Answers, Floats, World, draw_answers, spread
from kd_uncertainty.language.options import Method, PilotOptions, SurrogateOptions
from kd_uncertainty.language.targets import StudentSide
from kd_uncertainty.population.seeds import derive_seed


class Aim(NamedTuple):
    """How k responses become a target.

    Attributes:
        method: of the kept answer.
        num_responses: k.
        side: the student's side, None for "averaging".
        pooled: V, mean over prompts.
    """

    method: Method
    num_responses: int
    side: StudentSide | None
    pooled: float


def aim_of(world: World, method: Method, num_responses: int, options: SurrogateOptions) -> Aim:
    """Draw the student's side of a method, once for all students: k untrained answers, or a response of each pilot."""
    side = None
    if method == "variance_paper":
        seed = derive_seed(options.seed, "untrained answers")
        side = targets.untrained_side(_drawn(world, world.untrained, seed, num_responses))
    elif method == "variance_honest":
        pilots = _drawn(world, world.teacher, derive_seed(options.seed, "pilots"), PilotOptions().num_students)
        side = targets.pilot_side(pilots.swapaxes(0, 1)[:, :, None])
    return Aim(method, num_responses, side, float(spread(world.teacher, world.embeddings).mean()))


def target_points(aim: Aim, shares: Floats, embeddings: Floats) -> Floats:
    """Return the targets of n sets of k answers, (prompts, n, dimensions).

    Args:
        aim: the method.
        shares: of every answer among the k, (prompts, n, answers).
        embeddings: (prompts, answers, dimensions).
    """
    means = shares @ embeddings
    if aim.side is None:
        return means
    variance, k = spread(shares, embeddings[:, None]), aim.num_responses
    if aim.method == "variance_honest":
        prior = targets.PRIOR_DRAWS
        variance = (k * variance + prior * aim.pooled) / (k - 1 + prior) / k
    rows = [
        targets.inverse_variance_mean(mean, each, StudentSide(centre, sure))
        for mean, each, centre, sure in zip(means, variance, *aim.side, strict=True)
    ]
    return np.stack(rows)


def kept_answers(said: Answers, near_to: Floats, embeddings: Floats) -> Answers:
    """Return the answer nearest to each target, of equally near ones the first that was drawn, (students, prompts).

    Args:
        said: the k answers in the order of their draws, (students, prompts, responses).
        near_to: targets, (prompts, students, dimensions).
        embeddings: (prompts, answers, dimensions).
    """
    each = zip(embeddings, said.swapaxes(0, 1), near_to, strict=True)
    places = np.stack([targets.nearest(points[own], centres) for points, own, centres in each], axis=1)
    return np.asarray(np.take_along_axis(said, places[..., None], axis=-1)[..., 0])


def _drawn(world: World, probabilities: Floats, seed: int, count: int) -> Floats:
    """Return the embeddings of drawn answers, (prompts, count, dimensions)."""
    answers = draw_answers(probabilities, seed, 1, count)[0]
    return np.asarray(np.take_along_axis(world.embeddings, answers[..., None], axis=1))
