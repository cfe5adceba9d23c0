"""The plan of a language study's students, and which of the teacher's responses each of them gets."""

from __future__ import annotations

from itertools import product
from typing import Any

import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import LanguageStudentsOptions
from kd_uncertainty.population.seeds import derive_seed

SEEDS = ("response_seed", "initialisation_seed", "order_seed")
UNTRAINED, PILOT = "untrained", "pilot"
"""Methods of the pilots' plan."""


def make_plan(options: LanguageStudentsOptions, num_draws: int) -> pd.DataFrame:
    """Return the plan: student, arm, method, num_responses, response_level and three seeds; one row a student.

    Arms are numbered in declared order. Level i of a factor has the same seed in every arm, and the factors' seeds are
    independent, so that students are a full crossing of responses, initialisations and orders.

    Args:
        options: arms and numbers of seeds.
        num_draws: cached responses to a prompt.

    Raises:
        UserError: if an arm is there twice, or there are too few responses.
    """
    arms = [(block.method, count) for block in options.arms for count in block.num_responses]
    for number, arm in enumerate(arms):
        if arm in arms[:number]:
            raise UserError(
                f"students.arms: method {arm[0]} with num_responses {arm[1]} is declared twice; remove one of the two"
            )
    needed = num_responses_needed(options)
    if num_draws < needed:
        raise UserError(
            f"students: {options.response_seeds} response_seeds of up to {_most(options)} responses and "
            f"{options.pilot.num_students} pilots need {needed} responses to a prompt, and there are {num_draws}; "
            "raise responses.num_draws or lower response_seeds, num_responses or pilot.num_students"
        )
    levels = [
        [derive_seed(options.seed, name.removesuffix("_seed"), i) for i in range(getattr(options, f"{name}s"))]
        for name in SEEDS
    ]
    rows: list[dict[str, Any]] = []
    for number, (method, count) in enumerate(arms):
        for (level, response), initialisation, order in product(enumerate(levels[0]), levels[1], levels[2]):
            own: dict[str, Any] = {"student": len(rows), "arm": number, "method": method, "num_responses": count}
            seeds = dict(zip(SEEDS, (response, initialisation, order), strict=True))
            rows.append({**own, "response_level": level, **seeds})
    return pd.DataFrame(rows)


def pilot_plan(options: LanguageStudentsOptions) -> pd.DataFrame:
    """Return the plan of the pilots, with the columns of :func:`make_plan`: one untrained student, then trained ones.

    Each learns from a response that no student of the plan sees, from seeds of its own.
    """
    seed, count = options.pilot.seed, options.pilot.num_students
    rows = [
        {"student": number, "arm": min(number, 1), "method": PILOT if number else UNTRAINED, "num_responses": 1}
        | {"response_level": number}
        | {name: derive_seed(seed, name.removesuffix("_seed"), number) for name in SEEDS}
        for number in range(count + 1)
    ]
    return pd.DataFrame(rows)


def draws_of(options: LanguageStudentsOptions, level: int, count: int) -> range:
    """Return the draws of a response level: blocks are disjoint between levels, and nested in the number of responses.

    Args:
        options: of the students.
        level: of the response seed.
        count: number of responses.
    """
    first = level * _most(options)
    return range(first, first + count)


def pilot_draw(options: LanguageStudentsOptions, number: int) -> int:
    """Return the draw that pilot ``number`` (from 1) learns from: those after all that the plan uses."""
    return options.response_seeds * _most(options) + number - 1


def num_responses_needed(options: LanguageStudentsOptions) -> int:
    """Return how many responses to a prompt the students and their pilots need."""
    return options.response_seeds * _most(options) + options.pilot.num_students


def _most(options: LanguageStudentsOptions) -> int:
    return max(count for block in options.arms for count in block.num_responses)
