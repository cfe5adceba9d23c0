r"""A tabular language model: the law of uncertainty through distillation, proved exactly.

A teacher answers prompt x with one of A answers, with known probabilities p; a student reproduces the empirical
distribution of what it was trained on. Let V be the variance of one response (the trace of the covariance of its
embedding, or ``1 - sum_a p_a^2`` over answers). Students of all k answers have

    intra = (1 - 1/k) V,    inter = V / k,    total = V,    bias = 0

since their means vary by V / k and an answer of any of them is a response (Cui & Pei, arXiv 2601.18909). A student of
one kept answer has intra = 0, and students differ by the variance of the answer that is kept: nearest to the mean of k
("averaging"), or to the inverse-variance mean of teacher and student, whose side is an untrained student
("variance_paper") or pilots ("variance_honest").

What the teacher may say is enumerated, and students are simulated besides, with the code that chooses the targets of
real ones: enumeration, simulation and law are three computations of one thing. The student's side is drawn once, as it
is in the study, so all is conditional on it.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.language._surrogate_exact import (
    MAX_OUTCOMES,
    Law,
    Moments,
    kept_law,
    moments,
    num_outcomes,
    outcome_probabilities,
    outcomes,
)
from kd_uncertainty.language._surrogate_sampled import sampled_moments
from kd_uncertainty.language._surrogate_targets import Aim, aim_of, kept_answers, target_points
from kd_uncertainty.language._surrogate_world import Answers, Floats, World, draw_answers, draw_world, spread
from kd_uncertainty.language.options import Method, SurrogateOptions
from kd_uncertainty.population.seeds import derive_seed

METHODS: tuple[Method, ...] = ("multi", "averaging", "variance_paper", "variance_honest")
"""Those of the study without "token": with answers of one token its students would be the teacher."""
SPACES = ("embedding", "answers")
FEWEST_STUDENTS = 3


def run(options: SurrogateOptions, *, confidence: float = 0.95) -> pd.DataFrame:
    """Return variances of tabular students by method and number of responses, one row each.

    Args:
        options: sizes, numbers of responses, students and seed.
        confidence: of the intervals, over students.

    Returns:
        Columns method, num_responses, space ("embedding" or "answers"), component (intra, inter, total, and bias: the
        squared distance of the students' mean answer from the teacher's; means over prompts), exact (enumerated; NaN
        where there are too many outcomes), estimate with lower and upper (simulated), law (NaN where there is none).

    Raises:
        UserError: there are too few students.
    """
    if options.num_students < FEWEST_STUDENTS:
        raise UserError(
            f"surrogate: num_students is {options.num_students}, which has no variance with an interval; "
            f"set it to {FEWEST_STUDENTS} or more"
        )
    world = draw_world(options)
    seed = derive_seed(options.seed, "responses")
    answers = draw_answers(world.teacher, seed, options.num_students, max(options.num_responses))
    rows: list[dict[str, Any]] = []
    for method in METHODS:
        for count in options.num_responses:
            aim = aim_of(world, method, count, options)
            students, exact = _students(world, aim, answers[:, :, :count]), _law(world, aim)
            for space in SPACES:
                keys = {"method": method, "num_responses": count, "space": space}
                rows += [{**keys, **row} for row in _rows(world, keys, exact, students, confidence)]
    return pd.DataFrame(rows)


def _students(world: World, aim: Aim, said: Answers) -> Floats:
    """Return the distributions (students, prompts, answers) of students of these answers (students, prompts, k)."""
    numbers = np.arange(world.teacher.shape[1])
    shares = np.stack([(said == number).mean(axis=-1) for number in numbers], axis=-1)
    if aim.method == "multi":
        return shares
    near_to = target_points(aim, shares.swapaxes(0, 1), world.embeddings)
    return np.asarray(kept_answers(said, near_to, world.embeddings)[..., None] == numbers, dtype=np.float64)


def _law(world: World, aim: Aim) -> Law | None:
    """Return the exact law of students, None where there are too many outcomes."""
    num_answers = world.teacher.shape[1]
    if num_outcomes(aim.num_responses, num_answers) > MAX_OUTCOMES:
        return None
    counts = outcomes(aim.num_responses, num_answers)
    chance = outcome_probabilities(counts, world.teacher)
    shares = np.broadcast_to(counts / aim.num_responses, (*chance.shape, num_answers))
    if aim.method == "multi":
        return Law(chance, shares)
    return kept_law(chance, counts, world.embeddings, target_points(aim, shares, world.embeddings))


def _rows(
    world: World, keys: dict[str, Any], exact: Law | None, students: Floats, confidence: float
) -> list[dict[str, Any]]:
    """Return the rows of one method, number of responses and space."""
    points = world.points(keys["space"])
    found = sampled_moments(students, world.teacher, points, confidence)
    known = moments(exact, world.teacher, points)._asdict() if exact else {}
    by_law = _by_law(keys["method"], keys["num_responses"], float(spread(world.teacher, points).mean()))
    return [
        {
            **keys,
            "component": component,
            "exact": known.get(component, math.nan),
            "estimate": interval.estimate,
            "lower": interval.lower,
            "upper": interval.upper,
            "law": by_law[component],
        }
        for component, interval in found.items()
    ]


def _by_law(method: Method, count: int, response_variance: float) -> dict[str, float]:
    """Return what is known without any computation: all of students of k answers, and that one answer has no intra."""
    if method == "multi":
        shares = Moments(intra=1.0 - 1.0 / count, inter=1.0 / count, total=1.0, bias=0.0)
        return {name: share * response_variance for name, share in shares._asdict().items()}
    return {"intra": 0.0, "inter": math.nan, "total": math.nan, "bias": math.nan}
