"""The plan of a regression population: one row a student, arms crossed with response, initialisation, order seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.plan import require_distinct, require_known
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression.options import ValueArmOptions, ValueStudentsOptions
from kd_uncertainty.schemas import NO_TEACHER, SEED_COLUMNS, VALUE_ARM_KEYS

RANDOM_TARGETS = ("noise", "posterior")
"""Targets that depend on the response seed; the others are the same for every student of an arm."""


class ValueArm(NamedTuple):
    """One cell of the experiment; the fields are ``VALUE_ARM_KEYS``."""

    model: str
    teacher: str
    target: str
    noise: float
    num_responses: int
    weighting: str
    mixing: float


def make_value_plan(options: ValueStudentsOptions, num_draws: Mapping[str, int]) -> pd.DataFrame:
    """Return the plan: columns student, arm, ``VALUE_ARM_KEYS``, ``SEED_COLUMNS``; one row a student.

    As in the classification study, level i of a factor has the same seed in every arm (common random numbers), and the
    factors' seeds are independent. A linear student in closed form has neither initialisation nor batch order, so its
    arms have one level of both.

    Args:
        options: the arms and the numbers of seeds.
        num_draws: cached posterior draws of each teacher, in order. A posterior arm that names no teachers takes those
            with more than one draw.

    Raises:
        UserError: if an arm names an unknown teacher, or two arms are the same.
    """
    arms = [arm for position, block in enumerate(options.arms) for arm in _arms(block, position, num_draws)]
    if not arms:
        raise UserError(
            "students.arms: no arm is left to train; target: posterior takes only teachers with more than one cached "
            "draw, so add an arm with target: noise or exact"
        )
    require_distinct(arms)
    rows: list[dict[str, Any]] = []
    for number, arm in enumerate(arms):
        keys = {"student": 0, "arm": number, **arm._asdict()}
        rows += [keys | dict(zip(SEED_COLUMNS, seeds, strict=True)) for seeds in product(*_levels(arm, options))]
    plan = pd.DataFrame(rows, columns=["student", "arm", *VALUE_ARM_KEYS, *SEED_COLUMNS])
    plan["student"] = range(len(plan))
    return plan


def _levels(arm: ValueArm, options: ValueStudentsOptions) -> tuple[list[int], list[int], list[int]]:
    """Seeds of the arm's response, initialisation and order levels."""
    linear = arm.model == "linear"
    counts = {
        "response": options.linear_response_seeds if linear and arm.target == "noise" else options.response_seeds,
        "initialisation": 1 if linear else options.initialisation_seeds,
        "order": 1 if linear else options.order_seeds,
    }
    levels = {name: [derive_seed(options.seed, name, i) for i in range(count)] for name, count in counts.items()}
    if arm.target not in RANDOM_TARGETS:
        levels["response"] = [derive_seed(options.seed, "response", "none")]
    return levels["response"], levels["initialisation"], levels["order"]


def _arms(block: ValueArmOptions, position: int, num_draws: Mapping[str, int]) -> Iterator[ValueArm]:
    names: Sequence[str]
    if block.target == "ground_truth":
        names = (NO_TEACHER,)
    elif block.teachers is None:
        names = [name for name, count in num_draws.items() if block.target != "posterior" or count > 1]
    else:
        names = block.teachers
        require_known(names, position, num_draws)
    noises = block.noise or (0.0,)
    for model, name, noise, count, mixing in product(block.model, names, noises, block.num_responses, block.mixing):
        yield ValueArm(model, name, block.target, float(noise), int(count), "average", float(mixing))


def check_draws(plan: pd.DataFrame, num_draws: Mapping[str, int]) -> None:
    """Check that every posterior arm finds as many draws as its response seeds need, none shared.

    Raises:
        UserError: if a teacher has too few.
    """
    rows = plan[plan["target"] == "posterior"]
    if rows.empty:
        return
    seeds, width = rows["response_seed"].nunique(), int(rows["num_responses"].max())
    needed = seeds * width
    for name in rows["teacher"].unique():
        if num_draws[name] < needed:
            raise UserError(
                f"students.arms: posterior arms need {needed} draws of teacher '{name}' ({seeds} response seeds x "
                f"{width} responses, none shared), and {num_draws[name]} are cached; lower one of the two, or raise "
                "responses.num_draws "
                "(or the ensemble's members)"
            )
