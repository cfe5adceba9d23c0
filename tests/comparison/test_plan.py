"""The cells of the comparison, and the draws of each student."""

import numpy as np
import pytest

from kd_uncertainty.comparison.measure import num_students
from kd_uncertainty.comparison.plan import (
    Cell,
    control_cells,
    draw_counts,
    pool_size,
    student_draws,
    teacher_cells,
)

from .worlds import options


@pytest.mark.parametrize(
    ("distinct", "counts", "pool"),
    [(None, (1, 2, 4, 8), 40), (1, (1,), 1), (5, (1, 2, 4, 5), 5), (100, (1, 2, 4, 8), 40)],
)
def test_no_teacher_is_asked_for_a_draw_twice(distinct, counts, pool):
    chosen = options(num_draws=[1, 2, 4, 8])
    assert draw_counts(chosen, distinct) == counts
    assert pool_size(chosen, distinct) == pool


def test_cells_are_the_blocks_and_each_is_there_once():
    cells = teacher_cells(options(fractions=[0.1, 0.5], temperature=[2.0]), "it", None)
    assert cells[0] == Cell("it", 8)
    assert cells[1:] == [
        Cell("it", 1),
        Cell("it", 8, 0.1),
        Cell("it", 8, 0.5),
        Cell("it", 8, mixing=0.5, temperature=2.0),
        Cell("it", 8, mixing=1.0, temperature=2.0),
    ]
    assert [cell.num_draws for cell in teacher_cells(options(), "it", 1)] == [1] * 5


def test_the_control_sees_every_share_of_the_examples():
    cells = control_cells(options(fractions=[0.1]))
    assert [(cell.fraction, cell.mixing, cell.teacher) for cell in cells] == [(1.0, 0.0, "none"), (0.1, 0.0, "none")]


def test_students_are_counted_before_they_are_trained():
    # base, fewer draws, a share, 3 pairs of mixing and temperature; a point has no fewer draws; 2 cells of the control
    assert num_students(options(), [None, 1]) == 5 * (6 + 5 + 2)


def test_students_share_no_draw_where_there_are_enough():
    draws = student_draws(5, 40, 8, seed=1)
    assert sorted(draws.ravel()) == list(range(40))


@pytest.mark.parametrize("pool", [3, 8, 17, 39])
def test_a_scarce_posterior_is_shared_but_no_student_has_a_draw_twice(pool):
    most = min(8, pool)
    draws = student_draws(5, pool, most, seed=1)
    assert draws.shape == (5, most)
    assert all(len(set(own)) == most for own in draws)
    own = pool // 5  # what each student has alone
    assert len(set(draws[:, :own].ravel())) == 5 * own
    assert draws.max() < pool


def test_shared_draws_depend_on_the_seed_alone():
    assert np.array_equal(student_draws(5, 8, 8, 1), student_draws(5, 8, 8, 1))
    assert not np.array_equal(student_draws(5, 8, 8, 1), student_draws(5, 8, 8, 2))
