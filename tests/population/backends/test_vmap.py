"""The vectorised step: batches in every student's own order, and two ways to the same gradients."""

import dataclasses
import functools

import pytest
import torch
from torch.func import functional_call

from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders
from kd_uncertainty.population.training import train

from ..worlds import CPU, mlp, regression_world, switching, world


@pytest.mark.parametrize("shared", [False, True])
def test_batches_follow_every_students_order_and_its_own_table(shared):
    inputs, labels, cohort = world(4, 21, 3, 2)
    tables = torch.tensor([2, 0, 2, 1] if shared else [0, 1, 2, 3])
    if shared:
        cohort = dataclasses.replace(cohort, targets=cohort.targets[:3], tables=tables)
    batches = list(vmap._batches(inputs, labels, cohort, 1, 8))
    assert [len(batch[0][0]) for batch in batches] == [8, 8, 5]
    found = [torch.cat(parts, dim=1) for parts in zip(*batches, strict=True)]
    for student, seed in enumerate(cohort.order_seeds):
        order = torch.tensor(batch_orders([seed], 1, 21)[0])
        expected = (inputs[order], labels[order], cohort.targets[tables[student]][order])
        for values, own in zip(found, expected, strict=True):
            assert torch.equal(values[student], own)


def test_the_whole_batch_is_all_examples_in_their_own_order():
    inputs, labels, cohort = world(4, 21, 3, 2)
    cohort = dataclasses.replace(cohort, targets=cohort.targets[:2], tables=torch.tensor([1, 0, 1, 1]))
    ((found, own, targets),) = vmap._whole(inputs, labels, cohort)
    assert torch.equal(found, inputs.expand(4, 21, 3))
    assert torch.equal(own, labels.expand(4, 21))
    assert torch.equal(targets, cohort.targets[[1, 0, 1, 1]])
    assert all(matrix.data_ptr() % 64 == 0 for matrix in found)  # so that no step lays it out again


def test_both_steps_give_every_students_own_gradient():
    build, (inputs, labels, cohort) = mlp(6, 3, 8), world(4, 20, 6, 3)
    state = initial_states(build, cohort.initialisation_seeds, CPU)
    batch = (inputs.expand(4, 20, 6), labels.expand(4, 20), cohort.targets, cohort.mixing, cohort.temperature)
    for make in (vmap.make_step, vmap._make_vmap_step):
        step = make(build(), "distillation", torch.zeros(4, dtype=torch.int64))
        gradients, losses = step(state, *batch)
        for student in range(4):
            own = {name: values[student].clone().requires_grad_() for name, values in state.items()}
            inputs_, *rest = (values[student] for values in batch)
            loss = distillation_loss(functional_call(build(), own, (inputs_,)), *rest)
            expected = torch.autograd.grad(loss, list(own.values()))
            torch.testing.assert_close(losses[student], loss.detach())
            for name, gradient in zip(own, expected, strict=True):
                torch.testing.assert_close(gradients[name][student], gradient)


LOSSES = {
    "distillation": world,
    "cross-entropy": lambda *shape: _with_mixing(world(*shape), 0.0),
    "switching": lambda *shape: _with_switch(world(*shape)),
    "mse": regression_world,
    "switching mse": lambda *shape: _with_switch(regression_world(*shape)),
}
OPTIMISERS = {
    "sgd": {"optimiser": "sgd", "learning_rate": 0.05},
    "momentum": {"optimiser": "sgd", "momentum": 0.9, "weight_decay": 1e-3, "learning_rate": 0.05},
    "adam": {"optimiser": "adam", "learning_rate": 3e-3},
    "adam with decay": {"optimiser": "adam", "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2},
}
SCHEDULES = {
    "constant": {},
    "step": {"schedule": "step", "milestones": (1,), "decay": 0.3},
    "cosine": {"schedule": "cosine", "warmup_epochs": 1},
}


def _with_mixing(parts, mixing):
    inputs, labels, cohort = parts
    return inputs, labels, dataclasses.replace(cohort, mixing=torch.full((len(cohort),), mixing))


def _with_switch(parts):
    inputs, labels, cohort = parts
    return inputs, labels, switching(cohort)


def _assert_the_bits_of_the_loop(build, parts, options, chunk_sizes):
    run = functools.partial(train, build, *parts, options)
    expected = run(backend="loop")
    for chunk_size in chunk_sizes:
        found = run(backend="vmap", chunk_size=chunk_size)
        assert torch.equal(found.losses, expected.losses)
        for name, values in expected.parameters.items():
            assert torch.equal(found.parameters[name], values), name


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("loss", LOSSES)
def test_equals_the_loop_bit_for_bit(loss, optimiser, schedule):
    """A partial last batch, and all examples in one; chunks of which the last is smaller."""
    for batch_size in (8, 21):
        options = TrainingOptions(epochs=2, batch_size=batch_size, **OPTIMISERS[optimiser], **SCHEDULES[schedule])
        _assert_the_bits_of_the_loop(mlp(7, 3, 16, 5), LOSSES[loss](5, 21, 7, 3), options, (2, 8))


@pytest.mark.parametrize("batch_size", [8, 64])
@pytest.mark.parametrize(
    ("examples", "features", "hidden", "outputs"),
    [(33, 13, (16,), 1), (33, 1, (16,), 1), (33, 1, (), 1), (1, 4, (9,), 1), (33, 3, (1, 5), 2), (1, 3, (1, 40), 1)],
)
def test_regressions_of_one_output_or_one_feature_equal_the_loop_bit_for_bit(
    examples, features, hidden, outputs, batch_size
):
    for optimiser in ("momentum", "adam"):
        options = TrainingOptions(epochs=2, batch_size=batch_size, **OPTIMISERS[optimiser])
        parts = regression_world(5, examples, features, outputs)
        _assert_the_bits_of_the_loop(mlp(features, outputs, *hidden), parts, options, (1, 3, 32))


def test_a_student_that_never_switches_has_the_bits_of_one_that_cannot():
    """Loss switching is arithmetic on every student alike, whatever its neighbours do."""
    inputs, labels, cohort = world(5, 21, 7, 3)
    options = TrainingOptions(epochs=2, batch_size=8)
    for backend in ("loop", "vmap"):
        run = functools.partial(train, mlp(7, 3, 6), inputs, labels, options=options, backend=backend)
        constant, switched = run(cohort=cohort), run(cohort=switching(cohort))
        assert torch.equal(switched.losses[3], constant.losses[3])
        differs = (switched.losses != constant.losses).any(dim=1).tolist()
        assert differs == [True, True, True, False, True]
        at_once = dataclasses.replace(cohort, mixing=1 - cohort.mixing)
        assert torch.equal(switched.losses[0], run(cohort=at_once).losses[0])
