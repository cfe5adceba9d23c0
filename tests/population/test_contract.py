"""Cohorts are cut without mixing up anybody, and divergence names the right student."""

import dataclasses

import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Cohort, require_finite

from .worlds import CPU, resampled, world


def test_slices_keep_every_student_whole():
    cohort = world(6, 20, 4, 3)[2]
    part = cohort[2:5]
    assert len(part) == 3
    assert part.names == (2, 3, 4)
    for position, student in enumerate((2, 3, 4)):
        assert torch.equal(part.targets[position], cohort.targets[student])
        assert part.mixing[position] == cohort.mixing[student]
        assert part.temperature[position] == cohort.temperature[student]
        assert part.initialisation_seeds[position] == cohort.initialisation_seeds[student]
        assert part.order_seeds[position] == cohort.order_seeds[student]
    assert part[1:].names == (3, 4)


def test_numbers_of_the_plan_replace_positions():
    cohort = world(3, 20, 4, 3)[2]
    numbered = Cohort(
        cohort.targets,
        cohort.mixing,
        cohort.temperature,
        cohort.initialisation_seeds,
        cohort.order_seeds,
        numbers=(7, 9, 8),
    )
    assert numbered[1:].names == (9, 8)
    assert numbered.to(CPU).names == (7, 9, 8)


def _switching():
    targets = torch.arange(12.0, dtype=torch.float64).view(2, 3, 2)
    mixing, temperature = torch.tensor([0.0, 1.0, 0.5]), torch.ones(3)
    return Cohort(
        targets, mixing, temperature, (1, 2, 3), (4, 5, 6),
        tables=torch.tensor([1, 0, 1]), switch_step=torch.tensor([0, 2, 5]),
        mixing_after=torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), loss="mse",
    )  # fmt: skip


def test_students_keep_their_table_and_their_switch_in_a_slice():
    cohort = _switching()
    part = cohort[1:].to(CPU)
    assert part.targets.shape == (2, 3, 2)
    assert (part.tables.tolist(), part.table_index.tolist()) == ([0, 1], [0, 1])
    assert part.switch_step.tolist() == [2, 5]
    assert (part.loss, part.mixing_after.dtype, part.tables.dtype) == ("mse", torch.float32, torch.int64)
    assert world(3, 20, 4, 3)[2][1:].table_index.tolist() == [0, 1]


def test_students_keep_their_rows_in_a_slice():
    cohort = world(6, 20, 4, 3)[2]
    assert (cohort.rows, cohort.num_rows, cohort[2:].to(CPU).rows) == (None, 20, None)
    resample = resampled(cohort, 33)
    part = resample[2:5].to(CPU)
    assert torch.equal(part.rows, resample.rows[2:5])
    assert (part.num_rows, part.rows.dtype) == (33, torch.int64)
    assert dataclasses.replace(cohort, targets=cohort.targets[:1], tables=torch.zeros(6).long())[1:].num_rows == 20


def test_mixing_switches_at_each_students_own_step():
    cohort = _switching().to(CPU)
    found = [[round(value, 6) for value in cohort.mixing_at(step).tolist()] for step in (0, 1, 2, 4, 5, 99)]
    assert found == [[0.1, 1, 0.5], [0.1, 1, 0.5], [0.1, 0.2, 0.5], [0.1, 0.2, 0.5], [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]
    constant = world(3, 20, 4, 3)[2]
    assert torch.equal(constant.mixing_at(7), constant.mixing)


def test_contradictory_cohorts_are_refused():
    arguments = (torch.zeros(2, 3, 2), torch.ones(3), torch.ones(3), (1, 2, 3), (4, 5, 6))
    with pytest.raises(ValueError, match="3 students need as many tables of targets, not 2, or tables"):
        Cohort(*arguments)
    with pytest.raises(ValueError, match="give both or neither"):
        Cohort(*arguments, tables=torch.tensor([0, 1, 1]), switch_step=torch.zeros(3, dtype=torch.int64))


def test_moving_makes_everything_float32():
    cohort = world(2, 20, 4, 3)[2]
    double = Cohort(cohort.targets.double(), cohort.mixing.double(), cohort.temperature.double(), (1, 2), (3, 4))
    moved = double.to(CPU)
    assert {moved.targets.dtype, moved.mixing.dtype, moved.temperature.dtype} == {torch.float32}
    assert torch.equal(moved.targets, cohort.targets)


def test_an_ensemble_shares_one_table_of_targets():
    targets = torch.eye(3)
    cohort = Cohort.of_ensemble(targets, [5, 6, 7, 8], [1, 2, 3, 4])
    assert len(cohort) == 4
    assert cohort.targets.shape == (1, 3, 3)
    assert cohort.targets.data_ptr() == targets.data_ptr()
    assert cohort.table_index.tolist() == [0, 0, 0, 0]
    assert cohort[1:3].targets.data_ptr() == targets.data_ptr()
    assert (cohort.mixing == 0).all()
    assert (cohort.temperature == 1).all()
    assert cohort.initialisation_seeds == (5, 6, 7, 8)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_the_first_student_that_diverged_is_named_with_its_epoch(bad):
    cohort = world(4, 20, 4, 3)[2]
    require_finite(torch.tensor([[1.0, 2.0, 3e38, 0.0]]).T, cohort, range(1))
    with pytest.raises(UserError, match=rf"student 2: the training loss became {bad} in epoch 5; set a smaller"):
        require_finite(torch.tensor([[1.0, 2.0, bad, bad]]).T, cohort, range(4, 5))
    later = torch.tensor([[1.0, bad], [1.0, 1.0], [bad, bad], [1.0, 1.0]])
    with pytest.raises(UserError, match=rf"student 2: the training loss became {bad} in epoch 8;"):
        require_finite(later, cohort, range(7, 9))


def test_messages_call_networks_what_they_are():
    student = world(3, 20, 4, 3)[2]
    teacher = Cohort.of_ensemble(torch.eye(3), [5, 6, 7], [1, 2, 3])
    losses = torch.tensor([[1.0], [2.0], [torch.nan]])
    assert (student[1:].to(CPU).role, teacher[1:].to(CPU).role) == ("student", "teacher network")
    with pytest.raises(UserError, match=r"^student 2: .*students\.training\.learning_rate .*distillation temperature"):
        require_finite(losses, student, range(1))
    with pytest.raises(UserError, match=r"^teacher network 2: .*teachers\.training\.learning_rate \(or .*momentum\)$"):
        require_finite(losses[1:], teacher[1:], range(1))
