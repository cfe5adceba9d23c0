"""The vectorised step: two ways to the same gradients, and the bits of the loop."""

import dataclasses
import functools
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.func import functional_call

from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.contract import Monitor
from kd_uncertainty.population.initialisation import initial_states
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train

from ..worlds import CPU, mlp, regression_world, resampled, switching, world


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


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("size", [1, 13, 21, 50])
@pytest.mark.parametrize("loss", ["distillation", "switching mse"])
def test_resamples_equal_the_loop_bit_for_bit(loss, size, optimiser):
    inputs, labels, cohort = LOSSES[loss](5, 21, 7, 3)
    for batch_size, epochs in ((8, None), (64, None), (8, 2), (64, 2)):
        options = TrainingOptions(epochs=2, batch_size=batch_size, **OPTIMISERS[optimiser])
        students = resampled(cohort, size, epochs)
        _assert_the_bits_of_the_loop(mlp(7, 3, 16, 5), (inputs, labels, students), options, (2, 8))


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


class HandWritten(nn.Module):
    """Layers one after another, in a forward pass of its own."""

    def __init__(self, sizes, activation):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        self.activation = activation

    def forward(self, inputs):
        for layer in self.layers[:-1]:
            inputs = self.activation(layer(inputs))
        return self.layers[-1](inputs)


def _sequential(sizes, kind):
    layers = [layer for pair in pairwise(sizes) for layer in (nn.Linear(*pair), kind(), nn.Dropout(0.3))]
    return nn.Sequential(*layers[:-2])


NETWORKS = {
    **{
        f"Sequential {kind.__name__}": functools.partial(_sequential, kind=kind)
        for kind in (nn.Tanh, nn.GELU, nn.Sigmoid, nn.SiLU, nn.ELU, nn.Softplus)
    },
    "functional relu": functools.partial(HandWritten, activation=nn.functional.relu),
    "method relu": functools.partial(HandWritten, activation=lambda values: values.relu()),
    "functional gelu": functools.partial(HandWritten, activation=nn.functional.gelu),
    "method tanh": functools.partial(HandWritten, activation=lambda values: values.tanh()),
    "module LeakyReLU": functools.partial(HandWritten, activation=nn.LeakyReLU()),
    "module SiLU in place": functools.partial(HandWritten, activation=nn.SiLU(inplace=True)),
}


@pytest.mark.parametrize("kind", NETWORKS)
def test_networks_of_any_activation_however_written_equal_the_loop_for_any_chunk_size(kind):
    """Widths and batches that fill no vector register, and single ones: 6 students alone, by twos, threes and all."""
    for sizes, examples, batch_size in (
        ((5, 17, 3), 33, 16),
        ((13, 1, 10), 7, 7),
        ((3, 9, 4), 6, 1),
        ((1, 50, 5, 2), 33, 8),
    ):
        build = functools.partial(NETWORKS[kind], sizes)
        options = TrainingOptions(epochs=2, batch_size=batch_size, learning_rate=0.02)
        _assert_the_bits_of_the_loop(build, world(6, examples, sizes[0], sizes[-1]), options, (1, 2, 3, 6))


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


def test_bf16_is_autocast_forward_and_float32_otherwise():
    """Against autocast written out for one student at a time."""
    build, (inputs, labels, cohort) = mlp(6, 3, 8), world(4, 20, 6, 3)
    state = initial_states(build, cohort.initialisation_seeds, CPU)
    batch = (inputs.expand(4, 20, 6), labels.expand(4, 20), cohort.targets, cohort.mixing, cohort.temperature)
    step = vmap.make_step(build(), "distillation", torch.zeros(4, dtype=torch.int64), "bf16")
    gradients, losses = step(state, *batch)
    plain = vmap.make_step(build(), "distillation", torch.zeros(4, dtype=torch.int64))(state, *batch)
    for student in range(4):
        own = {name: values[student].clone().requires_grad_() for name, values in state.items()}
        inputs_, *rest = (values[student] for values in batch)
        hidden = torch.relu(inputs_.bfloat16() @ own["0.weight"].bfloat16().T + own["0.bias"].bfloat16())
        logits = hidden @ own["2.weight"].bfloat16().T + own["2.bias"].bfloat16()
        loss = distillation_loss(logits.float(), *rest)
        expected = torch.autograd.grad(loss, list(own.values()))
        assert losses[student].dtype == torch.float32
        torch.testing.assert_close(losses[student], loss.detach(), rtol=1e-2, atol=1e-3)
        for name, gradient in zip(own, expected, strict=True):
            assert gradients[name].dtype == torch.float32
            torch.testing.assert_close(gradients[name][student], gradient, rtol=0.05, atol=2e-3)
    assert not torch.equal(losses, plain[1])
    torch.testing.assert_close(losses, plain[1], rtol=0.02, atol=0.01)


def _on_vmap(build, inputs, labels, cohort, options):
    """Parameters and losses (students, epochs) of vmap where the choice refuses it on the CPU, but not on a GPU."""
    losses, initial = [], initial_states(build, cohort.initialisation_seeds, CPU)
    monitor = Monitor(lambda *report: losses.append(report[-1]))
    parameters = vmap.train_cohort(build, initial, inputs, labels, cohort, options, monitor)
    return parameters, torch.cat(losses, dim=1)


def test_bf16_trains_alike_on_both_backends():
    options = TrainingOptions(epochs=3, batch_size=8, precision="bf16")
    build, parts = mlp(7, 3, 16), world(5, 40, 7, 3)
    loop = train(build, *parts, options, backend="loop")
    exact = train(build, *parts, options.model_copy(update={"precision": "float32"}), backend="loop")
    parameters, losses = _on_vmap(build, *parts, options)
    for found in (loop.losses, losses):
        assert not torch.equal(found, exact.losses)
        torch.testing.assert_close(found, exact.losses, rtol=0.02, atol=0.01)
    assert all(values.dtype == torch.float32 for values in (*loop.parameters.values(), *parameters.values()))
    torch.testing.assert_close(loop.losses, losses, rtol=0.02, atol=0.01)


def test_bf16_students_do_not_depend_on_their_neighbours():
    options = TrainingOptions(epochs=2, batch_size=8, precision="bf16")
    inputs, labels, cohort = world(5, 21, 7, 3)
    run = functools.partial(train, mlp(7, 3, 16), inputs, labels, options=options)
    everybody, some = run(cohort=cohort, chunk_size=5), run(cohort=cohort[1:3], chunk_size=2)
    for name, values in everybody.parameters.items():
        assert torch.equal(some.parameters[name], values[1:3]), name


def test_tf32_is_float32_on_a_cpu():
    parts, options = world(3, 21, 7, 3), TrainingOptions(epochs=2, batch_size=8)
    for backend in ("loop", "vmap"):
        exact = train(mlp(7, 3, 6), *parts, options, backend=backend)
        found = train(mlp(7, 3, 6), *parts, options.model_copy(update={"precision": "tf32"}), backend=backend)
        assert torch.equal(found.losses, exact.losses)
