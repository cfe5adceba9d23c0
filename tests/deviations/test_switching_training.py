"""Students whose loss switches: against plain populations, a plain loop, and themselves among other neighbours."""

import math

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from kd_uncertainty.deviations._switching_training import (
    Arm,
    equal_progress_epochs,
    make_arms,
    make_cohort,
    one_hot_cohort,
    stopped_students,
    train_students,
)
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.seeds import batch_orders, derive_seed
from kd_uncertainty.population.training import train

from .worlds_switching import BUILD, options, small_world

STEPS = 6 * 7
ONE_HOT, DISTILLATION = Arm(None, "one_hot"), Arm(1, "distillation")


@pytest.fixture(scope="module")
def part():
    return small_world().part("train")


@pytest.fixture(scope="module")
def targets(part):
    """Two teachers that know nothing of the task."""
    generator = torch.Generator().manual_seed(0)
    return torch.softmax(2.0 * torch.randn(2, len(part.labels), 3, generator=generator), -1)


def students(part, targets, arms, numbers=(0, 1, 2), threads=1, **changes):
    """Parameters of students, (arms, numbers, parameters) side by side."""
    chosen = options(**changes)
    cohort = make_cohort(arms, targets, numbers, chosen)
    state = train_students(BUILD, part, cohort, chosen.student, threads=threads).parameters
    return flat(state).view(len(arms), len(numbers), -1)


def flat(state):
    return torch.cat([values.flatten(1) for values in state.values()], dim=1)


def test_arms_are_all_schedules_of_all_teachers():
    first, *others = make_arms(2, (0.7, 0.2))
    assert (first.teacher, first.schedule) == (None, "one_hot")
    assert [arm.teacher for arm in others] == [0] * 5 + [1] * 5
    assert [(arm.schedule, arm.switch) for arm in others[1:5]] == [
        ("to_distillation", 0.2), ("to_distillation", 0.7), ("to_one_hot", 0.2), ("to_one_hot", 0.7),
    ]  # fmt: skip
    assert [arm.schedule for arm in (others[0], others[5])] == ["distillation"] * 2
    assert all(math.isnan(arm.switch) for arm in (first, others[0], others[5]))


@pytest.mark.parametrize(("share", "step"), [(0.0, 0), (0.25, 11), (0.5, 21), (0.74, 31), (1.0, 42), (math.nan, 0)])
def test_the_switch_is_at_the_nearest_step_to_its_share(share, step):
    assert Arm(0, "to_one_hot", share).switch_step(STEPS) == step


def test_constant_schedules_are_the_plain_arms_bit_for_bit(part, targets):
    """Cohorts that know of no switch."""
    one_hot, distilled = students(part, targets, [ONE_HOT, DISTILLATION])
    chosen = options()
    seeds = [tuple(derive_seed(5, purpose, number) for number in range(3)) for purpose in ("initialisation", "order")]
    hard = torch.nn.functional.one_hot(part.labels, 3).float().expand(3, -1, -1)
    for expected, target, mixing in ((one_hot, hard, 0.0), (distilled, targets[1].expand(3, -1, -1), 1.0)):
        plain = Cohort(target.contiguous(), torch.full((3,), mixing), torch.full((3,), 3.0), *seeds)
        trained = train(BUILD, part.inputs, part.labels, plain, chosen.student.training)
        assert torch.equal(flat(trained.parameters), expected)
    assert not torch.allclose(one_hot, distilled, atol=1e-2)


def test_a_switch_at_the_start_or_the_end_is_a_constant_schedule(part, targets):
    ends = [Arm(1, schedule, share) for schedule in ("to_distillation", "to_one_hot") for share in (0.0, 1.0)]
    one_hot, distilled, *found = students(part, targets, [ONE_HOT, DISTILLATION, *ends])
    for arm, expected in zip(found, (distilled, one_hot, one_hot, distilled), strict=True):
        assert torch.equal(arm, expected)


def test_a_switch_right_before_the_end_or_after_the_start_is_another(part, targets):
    near = [Arm(1, "to_distillation", share / STEPS) for share in (1, STEPS - 1)]
    one_hot, distilled, first, last = students(part, targets, [ONE_HOT, DISTILLATION, *near])
    assert not torch.equal(first, distilled)
    assert not torch.equal(last, one_hot)


def plain_loop(part, soft, number, schedule, switch_step):
    """One student as a user would train it, with torch's own optimiser, the loss chosen step by step."""
    chosen = options()
    training, temperature = chosen.student.training, chosen.temperature
    start = initial_states(BUILD, [derive_seed(chosen.seed, "initialisation", number)], torch.device("cpu"))
    network = BUILD()
    network.load_state_dict({name: values[0] for name, values in start.items()})
    optimiser = torch.optim.SGD(network.parameters(), lr=training.learning_rate, momentum=training.momentum)
    step = 0
    for epoch in range(training.epochs):
        order = batch_orders([derive_seed(chosen.seed, "order", number)], epoch, len(part.labels))[0]
        for batch in torch.split(torch.from_numpy(order), training.batch_size):
            logits = network(part.inputs[batch])
            if (schedule == "to_distillation") == (step >= switch_step):
                loss = temperature**2 * cross_entropy(logits / temperature, soft[batch])
            else:
                loss = cross_entropy(logits, part.labels[batch])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            step += 1
    assert step == STEPS
    return torch.cat([values.detach().flatten() for values in network.parameters()])


@pytest.mark.parametrize("schedule", ["to_distillation", "to_one_hot"])
@pytest.mark.parametrize(("share", "step"), [(0.5, 21), (0.25, 11), (0.9, 38)])
def test_students_are_what_a_plain_loop_trains_with_the_switch_at_that_very_step(part, targets, schedule, share, step):
    """At an epoch's start and within one; a step earlier or later is another student."""
    found = students(part, targets, [Arm(1, schedule, share)], numbers=[2])[0, 0]
    torch.testing.assert_close(found, plain_loop(part, targets[1], 2, schedule, step), atol=2e-5, rtol=0.0)
    for other in (step - 1, step + 1):
        assert (found - plain_loop(part, targets[1], 2, schedule, other)).abs().max() > 1e-3


def test_students_depend_neither_on_others_nor_on_threads(part, targets):
    arms = make_arms(2, (0.5,))
    found = students(part, targets, arms)
    assert torch.equal(found, students(part, targets, arms, threads=2))
    more_arms = make_arms(2, (0.1, 0.5, 0.8))[::-1]
    more = students(part, targets, more_arms, numbers=[4, 2, 1, 0])
    for arm, ours in zip(arms, found, strict=True):
        position = next(row for row, other in enumerate(more_arms) if repr(other) == repr(arm))  # NaN is not itself
        assert torch.equal(more[position, [3, 2, 1]], ours)


def test_one_hot_students_know_no_teacher(part, targets):
    chosen = options()
    alone = train_students(BUILD, part, one_hot_cohort(part, range(3), chosen), chosen.student).parameters
    assert torch.equal(flat(alone), students(part, targets, [ONE_HOT])[0])
    assert torch.equal(flat(alone), students(part, targets.flip(0), [ONE_HOT, DISTILLATION])[0])


def test_equal_progress_is_the_nearest_loss_and_the_first_of_equally_near_ones():
    curves = np.array([[1.0, 0.6, 0.3, 0.2], [1.0, 0.6, 0.3, 0.2], [0.5, 0.25, 0.75, 0.5], [1.0, 0.9, 0.8, 0.7]])
    found = equal_progress_epochs(curves, np.array([0.46, 0.01, 0.5, 2.0]))
    assert found.tolist() == [2, 4, 1, 1]


def test_stopped_students_are_where_their_curves_were(part):
    """And, stopped at the end, they are those that were never stopped; each is what it is alone."""
    chosen = options()
    watched = train_students(BUILD, part, one_hot_cohort(part, range(4), chosen), chosen.student, watched=True)
    stops = np.array([3, 6, 1, 3])
    state = stopped_students(BUILD, part, chosen, stops)
    for number, stop in enumerate(stops):
        network = BUILD()
        network.load_state_dict({name: values[number] for name, values in state.items()})
        loss = cross_entropy(network(part.inputs), part.labels).item()
        assert loss == pytest.approx(float(watched.validation["validation_nll"][number, stop - 1]), abs=1e-6)
        alone = train_students(BUILD, part, one_hot_cohort(part, [number], chosen), chosen.student, epochs=int(stop))
        assert torch.equal(flat(alone.parameters)[0], flat(state)[number])
    assert torch.equal(flat(state)[1], flat(watched.parameters)[1])


def test_training_that_diverges_says_what_to_change(part, targets):
    training = options().student.training.model_dump(mode="json") | {"learning_rate": 1e9}
    student = options().student.model_dump(mode="json", by_alias=True) | {"training": training}
    with pytest.raises(UserError, match=r"^switching: student 0: .* set a smaller switching\.student\.training"):
        students(part, targets, [ONE_HOT], student=student)
