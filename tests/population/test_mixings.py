"""Arms that switch in a job: the weights of its cohorts, equal students among other neighbours, agreeing backends."""

import dataclasses
from types import SimpleNamespace

import pytest
import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.choice import BACKENDS
from kd_uncertainty.population.mixings import check_switches, mixings_of
from kd_uncertainty.population.native import library
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.plan import make_plan

from .worlds import CPU, block, crossing, small_job

STEPS = 3 * 3  # of the small job: 90 examples in batches of 32, three epochs
SCHEDULES = ("constant", "to_teacher@0.5", "to_labels@0.3")
NAMES = [name for name in BACKENDS if name != "native" or not library.obstacle()]


def rows(*pairs):
    return [SimpleNamespace(mixing=mixing, schedule=schedule) for mixing, schedule in pairs]


def job_of(schedules, **changes):
    """Arms of every target with these schedules, and the one of the labels."""
    blocks = (
        block("one_hot"),
        block("exact", schedule=schedules, temperature=(2.0,)),
        block("label", num_responses=(2,), mixing=(0.7,), schedule=schedules),
        block("posterior", schedule=schedules),
    )
    return small_job(plan=make_plan(crossing(*blocks, responses=2), {"dropout": 8}), shard_size=100, **changes)


def train(job, backend, chunk_size=100):
    return job.train_shard(0, backend, CPU, chunk_size)


def of_schedule(job, shard, schedule):
    students = torch.tensor((job.plan["schedule"] == schedule).tolist())
    return {name: values[students] for name, values in shard.items() if name != "students"}


def test_weights_before_and_after_are_those_of_the_schedules():
    found = mixings_of(rows((0.7, "constant"), (0.7, "to_teacher@0.5"), (1.0, "to_labels@0.25")), 10)
    assert found.mixing.tolist() == pytest.approx([0.7, 0.0, 1.0])
    assert found.mixing_after.tolist() == pytest.approx([0.7, 0.7, 0.0])
    assert found.switch_step.tolist() == [0, 5, 3]
    assert (found.mixing.dtype, found.switch_step.dtype, found.mixing_after.dtype) == (
        torch.float32, torch.int64, torch.float32,
    )  # fmt: skip


def test_without_a_switch_there_is_none():
    plain = [SimpleNamespace(mixing=0.3), SimpleNamespace(mixing=1.0)]
    for found in (mixings_of(rows((0.3, "constant"), (1.0, "constant")), 10), mixings_of(plain, 10)):
        assert torch.equal(found.mixing, torch.tensor([0.3, 1.0]))
        assert found.switch_step is None
        assert found.mixing_after is None


@pytest.mark.parametrize(("schedule", "steps"), [("to_teacher@0.01", 9), ("to_labels@0.99", 9), ("to_labels@0.5", 1)])
def test_a_switch_outside_training_is_said_before_any_work(schedule, steps):
    with pytest.raises(UserError, match=rf"schedule {schedule} never switches in {steps} optimiser steps"):
        check_switches(["constant", schedule], steps)
    check_switches(["constant", schedule], 1000)


def test_a_job_checks_its_switches_by_its_own_steps():
    job = job_of(("to_teacher@0.05",))
    with pytest.raises(UserError, match="never switches in 9 optimiser steps"):
        job.check()
    dataclasses.replace(job, training=TrainingOptions(epochs=4, batch_size=32)).check()
    job_of(SCHEDULES).check()


@pytest.mark.parametrize("backend", NAMES)
def test_constant_arms_are_bit_for_bit_what_they_were(backend):
    """As without the column, and beside neighbours that switch."""
    job, mixed = job_of(("constant",)), job_of(SCHEDULES)
    found = train(job, backend)
    before = dataclasses.replace(job, plan=job.plan.drop(columns="schedule"))
    for name, values in train(before, backend).items():
        assert torch.equal(values, found[name]), name
    among = of_schedule(mixed, train(mixed, backend), "constant")
    assert all(torch.equal(values, found[name]) for name, values in among.items())


@pytest.mark.parametrize("backend", NAMES)
def test_switching_students_depend_on_no_neighbour(backend):
    mixed, alone = job_of(SCHEDULES), job_of(("to_teacher@0.5",))
    ours = of_schedule(mixed, train(mixed, backend), "to_teacher@0.5")
    theirs = of_schedule(alone, train(alone, backend, chunk_size=3), "to_teacher@0.5")
    assert len(ours["losses"]) == 4 + 8 + 8
    assert all(torch.equal(values, theirs[name]) for name, values in ours.items())


def test_all_backends_train_the_same_students():
    job = job_of(SCHEDULES)
    loop = train(job, "loop")
    for backend in NAMES:
        for name, values in train(job, backend).items():
            torch.testing.assert_close(values, loop[name], rtol=2e-3, atol=2e-4)


def test_before_the_switch_students_are_those_of_the_other_arm():
    """The losses of the first epoch, whose three steps lie before both switches; after it nobody is another's."""
    job = job_of(("constant", "to_teacher@0.5", "to_labels@0.5"))
    shard, targets = train(job, "loop"), job.plan["target"] == "exact"

    def losses(rows):
        return shard["losses"][torch.tensor(rows.tolist())]

    one_hot = losses(job.plan["target"] == "one_hot")
    constant, to_teacher, to_labels = (
        losses(targets & (job.plan["schedule"] == schedule)) for schedule in job.plan["schedule"].unique()
    )
    torch.testing.assert_close(to_teacher[:, 0], one_hot[:, 0])
    assert torch.equal(to_labels[:, 0], constant[:, 0])
    assert (to_teacher[:, 2] - one_hot[:, 2]).abs().min() > 1e-3
    assert (to_labels[:, 2] - constant[:, 2]).abs().min() > 1e-3


def test_the_schedule_is_part_of_a_jobs_identity():
    identities = {job_of((schedule,)).identity("loop") for schedule in SCHEDULES}
    assert len(identities) == len(SCHEDULES)
