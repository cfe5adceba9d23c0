"""The plan of a population: one row a student, arms crossed with response, initialisation and order seeds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple, Protocol

import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.schemas import ARM_KEYS, NO_TEACHER, SEED_COLUMNS

RANDOM_TARGETS = ("label", "posterior")
"""Targets that depend on the response seed; the others are the same for every student of an arm."""


class Block(Protocol):
    """What a plan needs to know of a block of arms; ``options.ArmOptions`` is one."""

    @property
    def target(self) -> str: ...  # noqa: D102
    @property
    def teachers(self) -> tuple[str, ...] | None: ...  # noqa: D102
    @property
    def num_responses(self) -> tuple[int, ...]: ...  # noqa: D102
    @property
    def mixing(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def temperature(self) -> tuple[float, ...]: ...  # noqa: D102
    @property
    def schedule(self) -> tuple[str, ...]: ...  # noqa: D102


class Crossing(Protocol):
    """What a plan needs to know of the population; ``options.StudentsOptions`` is one."""

    @property
    def arms(self) -> Sequence[Block]: ...  # noqa: D102
    @property
    def response_seeds(self) -> int: ...  # noqa: D102
    @property
    def initialisation_seeds(self) -> int: ...  # noqa: D102
    @property
    def order_seeds(self) -> int: ...  # noqa: D102
    @property
    def seed(self) -> int: ...  # noqa: D102


class Arm(NamedTuple):
    """One cell of the experiment; the fields are ``ARM_KEYS``."""

    teacher: str
    target: str
    num_responses: int
    weighting: str
    mixing: float
    temperature: float
    schedule: str


def make_plan(options: Crossing, num_draws: Mapping[str, int]) -> pd.DataFrame:
    """Return the plan: columns student, arm, ``ARM_KEYS``, ``SEED_COLUMNS``; one row a student.

    Arms are numbered block by block, in each block as the product teachers x num_responses x mixing x temperature x
    schedule in declared order. Within an arm, students are numbered in order of response, initialisation and order
    seed. Level i of a factor has the same seed in every arm (common random numbers), and the factors' seeds are
    independent. Arms whose target has no response randomness have a single response level of its own.

    Args:
        options: the arms and the numbers of seeds.
        num_draws: cached posterior draws of each teacher, in order. An arm that names no teachers takes all; a
            posterior one takes those with more than one draw, since a single draw has no randomness.

    Raises:
        UserError: if an arm names an unknown teacher, or two arms are the same.
    """
    arms = [arm for position, block in enumerate(options.arms) for arm in _arms(block, position, num_draws)]
    if not arms:
        raise UserError(
            "students.arms: no arm is left to train; target: posterior takes only teachers with more than one cached "
            "draw, so add an arm with target: label or exact"
        )
    require_distinct(arms)
    levels = {
        "initialisation": [derive_seed(options.seed, "initialisation", i) for i in range(options.initialisation_seeds)],
        "order": [derive_seed(options.seed, "order", i) for i in range(options.order_seeds)],
        "response": [derive_seed(options.seed, "response", i) for i in range(options.response_seeds)],
        "none": [derive_seed(options.seed, "response", "none")],
    }
    rows: list[dict[str, Any]] = []
    for number, arm in enumerate(arms):
        responses = levels["response" if arm.target in RANDOM_TARGETS else "none"]
        rows += [
            {"student": 0, "arm": number, **arm._asdict(), **dict(zip(SEED_COLUMNS, seeds, strict=True))}
            for seeds in product(responses, levels["initialisation"], levels["order"])
        ]
    plan = pd.DataFrame(rows, columns=["student", "arm", *ARM_KEYS, *SEED_COLUMNS])
    plan["student"] = range(len(plan))
    return plan


def require_distinct(arms: Sequence[Any]) -> None:
    """Check that no arm is there twice.

    Raises:
        UserError: that names the arm.
    """
    for number, arm in enumerate(arms):
        if arm in arms[:number]:
            described = ", ".join(f"{key}: {value}" for key, value in arm._asdict().items())
            raise UserError(f"students.arms: the arm ({described}) is declared twice; remove one of the two")


def require_known(names: Sequence[str], position: int, num_draws: Mapping[str, int]) -> None:
    """Check that the teachers that an arm names have responses.

    Raises:
        UserError: that names the first that has none, and those that have.
    """
    for name in names:
        if name not in num_draws:
            raise UserError(
                f"students.arms[{position}].teachers: there is no teacher '{name}'; known: {', '.join(num_draws)}"
            )


def _arms(block: Block, position: int, num_draws: Mapping[str, int]) -> Iterator[Arm]:
    if block.target == "one_hot":
        names: Sequence[str] = (NO_TEACHER,)
    else:
        names = _willing(block.target, num_draws) if block.teachers is None else block.teachers
        require_known(names, position, num_draws)
    dials = product(names, block.num_responses, block.mixing, block.temperature, block.schedule)
    for name, count, mixing, temperature, schedule in dials:
        yield Arm(name, block.target, int(count), "average", float(mixing), float(temperature), schedule)


def _willing(target: str, num_draws: Mapping[str, int]) -> tuple[str, ...]:
    return tuple(name for name, draws in num_draws.items() if draws > 1 or target != "posterior")
