"""The cells of the comparison, and which posterior draws each student learns from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.population.seeds import derive_seed, random_bits
from kd_uncertainty.schemas import NO_TEACHER


class Cell(NamedTuple):
    """What the students of a cell have in common.

    Attributes:
        teacher: its name, or "none" for students of the data's own labels.
        num_draws: posterior draws that a target averages; 0 without a teacher.
        fraction: share of the training examples that a student sees.
        mixing: weight of the teacher's target beside the data's labels; 0 without a teacher.
        temperature: softening of teacher and student.
    """

    teacher: str
    num_draws: int
    fraction: float = 1.0
    mixing: float = 1.0
    temperature: float = 1.0


def draw_counts(options: TeacherComparisonOptions, distinct_draws: int | None) -> tuple[int, ...]:
    """Return the numbers of draws that a teacher is compared at, increasing: no more than its posterior has."""
    most = max(options.num_draws) if distinct_draws is None else distinct_draws
    return tuple(sorted({min(count, most) for count in options.num_draws}))


def pool_size(options: TeacherComparisonOptions, distinct_draws: int | None) -> int:
    """Return how many draws of a teacher all its students together need: as many as keep them apart, if there are."""
    most = draw_counts(options, distinct_draws)[-1] * options.num_seeds
    return most if distinct_draws is None else min(most, distinct_draws)


def teacher_cells(options: TeacherComparisonOptions, teacher: str, distinct_draws: int | None) -> list[Cell]:
    """Return a teacher's cells, the one of all data, all draws, mixing 1 and temperature 1 first; each once."""
    *fewer, most = draw_counts(options, distinct_draws)
    base = Cell(teacher, most)
    cells = [base, *(Cell(teacher, count) for count in fewer)]
    cells += [base._replace(fraction=fraction) for fraction in options.fractions]
    cells += [
        base._replace(mixing=mixing, temperature=temperature)
        for mixing in options.mixing
        for temperature in options.temperature
    ]
    return list(dict.fromkeys(cells))


def control_cells(options: TeacherComparisonOptions) -> list[Cell]:
    """Return the cells of students that learn the data's own labels, that of all data first."""
    fractions = dict.fromkeys((1.0, *options.fractions))
    return [Cell(NO_TEACHER, 0, fraction, mixing=0.0) for fraction in fractions]


def student_draws(num_students: int, pool: int, most: int, seed: int) -> NDArray[np.int64]:
    """Return the draws of each student, (students, most): distinct for a student, fewer are the first of more.

    Student s begins with draws s, s + S, s + 2 S and so on, which no other student has; where the pool is too small
    for that, it goes on with the others' in an order of its own. So students share no draw as long as the pool has
    ``num_students`` times as many as a student uses.

    Args:
        num_students: S.
        pool: draws that there are, at least ``most``.
        most: the largest number of draws that a student uses.
        seed: of the orders in which draws are shared.
    """
    everything = np.arange(pool)
    rows = []
    for student in range(num_students):
        others = everything[everything % num_students != student]
        shuffled = others[np.argsort(random_bits(derive_seed(seed, "shared draws", student), 0, len(others)))]
        rows.append(np.concatenate([everything[student::num_students], shuffled])[:most])
    return np.stack(rows).astype(np.int64)


def find(cells: Sequence[Cell], **dials: object) -> list[Cell]:
    """Return the cells with the given values."""
    return [cell for cell in cells if all(getattr(cell, name) == value for name, value in dials.items())]
