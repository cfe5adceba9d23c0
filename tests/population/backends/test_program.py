"""Training as a program over fixed tensors: batches, captured steps, and no word from the host within an epoch."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from kd_uncertainty.population import dropout, graphs
from kd_uncertainty.population.backends import program, vmap
from kd_uncertainty.population.backends.program import Batches, Mode, Program
from kd_uncertainty.population.contract import Monitor
from kd_uncertainty.population.dropout import dropout_keys, dropout_layers, with_counter_dropout
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_orders

from ..tape import FakeCuda, HostError
from ..worlds import CPU, Residual, mlp, regression_world, resampled, switching, world

META = torch.device("meta")  # tensors without values: whoever reads one on the host fails


def _batches_of(batches, epoch):
    batches.start_epoch(epoch)
    return [tuple(part.clone() for part in take()) for take, times in batches.shapes() for _ in range(times)]


@pytest.mark.parametrize("shared", [False, True])
def test_batches_follow_every_students_order_and_its_own_table(shared):
    inputs, labels, cohort = world(4, 21, 3, 2)
    tables = torch.tensor([2, 0, 2, 1] if shared else [0, 1, 2, 3])
    if shared:
        cohort = dataclasses.replace(cohort, targets=cohort.targets[:3], tables=tables)
    batches = Batches(inputs, labels, cohort, 8)
    for epoch in (0, 1):
        parts = _batches_of(batches, epoch)
        assert [len(batch[0][0]) for batch in parts] == [8, 8, 5]
        found = [torch.cat(pieces, dim=1) for pieces in zip(*parts, strict=True)]
        for student, seed in enumerate(cohort.order_seeds):
            order = torch.tensor(batch_orders([seed], epoch, 21)[0])
            expected = (inputs[order], labels[order], cohort.targets[tables[student]][order])
            for values, own in zip(found, expected, strict=True):
                assert torch.equal(values[student], own)


@pytest.mark.parametrize(("size", "sizes"), [(21, [8, 8, 5]), (8, [8]), (3, [3]), (40, [8] * 5)])
@pytest.mark.parametrize("epochs", [None, 2])
def test_batches_are_rows_of_every_students_own(size, sizes, epochs):
    inputs, labels, cohort = world(4, 30, 3, 2)
    cohort = dataclasses.replace(resampled(cohort, size, epochs), tables=torch.tensor([2, 0, 2, 1]))
    batches = Batches(inputs, labels, cohort, 8)
    for epoch in (0, 1):
        parts = _batches_of(batches, epoch)
        assert [batch[0].shape[1] for batch in parts] == sizes
        found = [torch.cat(pieces, dim=1) for pieces in zip(*parts, strict=True)]
        for student, seed in enumerate(cohort.order_seeds):
            order = torch.tensor(batch_orders([seed], epoch, size)[0]) if size > 8 else torch.arange(size)
            rows = cohort.rows_of(epoch)[student][order]
            expected = (inputs[rows], labels[rows], cohort.targets[cohort.tables[student]][rows])
            for values, own in zip(found, expected, strict=True):
                assert torch.equal(values[student], own)


def test_there_is_no_partial_batch_where_batches_divide_the_examples():
    batches = Batches(*world(4, 21, 3, 2), 7)
    assert [batch[0].shape[1] for batch in _batches_of(batches, 0)] == [7, 7, 7]


@pytest.mark.parametrize("batch_size", [21, 64])
def test_the_whole_batch_is_all_examples_in_their_own_order(batch_size):
    inputs, labels, cohort = world(4, 21, 3, 2)
    cohort = dataclasses.replace(cohort, targets=cohort.targets[:2], tables=torch.tensor([1, 0, 1, 1]))
    batches = Batches(inputs, labels, cohort, batch_size)
    ((found, own, targets),) = _batches_of(batches, 3)
    assert torch.equal(found, inputs.expand(4, 21, 3))
    assert torch.equal(own, labels.expand(4, 21))
    assert torch.equal(targets, cohort.targets[[1, 0, 1, 1]])
    ((take, _),) = batches.shapes()
    assert all(matrix.data_ptr() % 64 == 0 for matrix in take()[0])  # so that no step lays it out again


def _train(build, parts, options, mode, device=CPU):
    """Train by a program in this mode; return state and losses."""
    inputs, labels, cohort = parts
    inputs, labels, cohort = inputs.to(device), labels.to(device), cohort.to(device)
    losses = []
    with reproducible(CPU):
        state = initial_states(build, cohort.initialisation_seeds, device)
        network = with_counter_dropout(build()).to(device).train()
        step = vmap.make_step(network, cohort.loss, dropout_keys(cohort.order_seeds, device), options.precision)
        batches = Batches(inputs, labels, cohort, options.batch_size)
        monitor = Monitor(lambda students, epochs, state, values: losses.append(values))
        Program(step, state, batches, dropout_layers(network), options, mode).run(monitor)
    return state, torch.cat(losses, dim=1)


def _on_a_gpu(step, changed, device):
    return graphs.capture(step, changed, torch.device("cuda"))


WORLDS = {
    "distillation": (world(5, 21, 7, 3), mlp(7, 3, 16, 5)),
    "switching": ((*world(5, 21, 7, 3)[:2], switching(world(5, 21, 7, 3)[2])), mlp(7, 3, 6)),
    "mse": (regression_world(5, 21, 7, 2), mlp(7, 2, 9)),
    "rows": ((*world(5, 30, 7, 3)[:2], resampled(world(5, 30, 7, 3)[2], 21)), mlp(7, 3, 6)),
    "dropout": (world(5, 21, 7, 3), mlp(7, 3, 16, 5, dropout=0.4)),
    "general": (world(5, 21, 7, 3), lambda: Residual(7, 3)),
    "general dropout": (world(5, 21, 7, 3), lambda: nn.Sequential(Residual(7, 7), nn.Dropout(0.3), Residual(7, 3))),
}
OPTIMISERS = {
    "sgd": {"optimiser": "sgd", "learning_rate": 0.05, "weight_decay": 1e-2},
    "momentum": {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.05},
    "adam": {"optimiser": "adam", "learning_rate": 3e-3, "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1},
}


@pytest.fixture
def words_from_the_device(monkeypatch):
    """Dropout masks as a GPU draws them; the CPU's faster way reads the step on the host."""
    monkeypatch.setattr(dropout, "_kept_by_numpy", dropout._kept_by_torch)


@pytest.mark.usefixtures("words_from_the_device")
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("kind", WORLDS)
def test_replayed_steps_give_the_bits_of_called_ones(kind, optimiser, monkeypatch):
    """Nothing that changes from step to step comes from Python: a replay repeats what was recorded once, blindly."""
    cuda, (parts, build) = FakeCuda(monkeypatch), WORLDS[kind]
    for batch_size, shapes in ((8, 2), (7, 1), (21, 1)):
        options = TrainingOptions(epochs=3, batch_size=batch_size, **OPTIMISERS[optimiser])
        cuda.tapes.clear()
        found, losses = _train(build, parts, options, Mode(_on_a_gpu, capturable=True))
        assert len(cuda.tapes) == shapes  # one graph for each batch shape, in all epochs
        expected, expected_losses = _train(build, parts, options, Mode(graphs.run_eagerly, capturable=True))
        assert torch.equal(losses, expected_losses)
        for name, values in expected.items():
            assert torch.equal(found[name], values), name


def test_masks_from_the_host_are_found_out(monkeypatch):
    """The test above can fail: the CPU's own way of dropping would be frozen, or refused."""
    FakeCuda(monkeypatch)
    parts, build = WORLDS["dropout"]
    with pytest.raises(HostError):
        _train(build, parts, TrainingOptions(epochs=1, batch_size=8), Mode(_on_a_gpu, capturable=True))


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("kind", ["distillation", "switching", "mse", "rows", "dropout", "general"])
def test_a_capturable_training_is_the_ordinary_one_to_rounding(kind, optimiser):
    parts, build = WORLDS[kind]
    options = TrainingOptions(epochs=2, batch_size=8, **OPTIMISERS[optimiser])
    found, losses = _train(build, parts, options, Mode(graphs.run_eagerly, capturable=True))
    expected, expected_losses = _train(build, parts, options, program.mode_on(CPU))
    torch.testing.assert_close(losses, expected_losses, rtol=1e-5, atol=1e-6)
    start = initial_states(build, parts[2].initialisation_seeds, CPU)
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=1e-5, atol=2e-6)
        assert (values - start[name]).abs().max() > 1e-3  # so much was learnt


def test_a_cpu_is_given_torchs_own_updates_and_other_devices_capturable_ones():
    assert program.mode_on(CPU) == (graphs.capture, False)
    assert program.mode_on(torch.device("cuda")) == (graphs.capture, True)


class Traffic(TorchDispatchMode):
    """Counts copies between devices, and the operations on each."""

    def __init__(self):
        super().__init__()
        self.copies, self.operations = [], []

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        outputs = operation(*args, **(kwargs or {}))
        leaves = tree_leaves((args, kwargs, outputs))
        tensors = [leaf for leaf in leaves if isinstance(leaf, torch.Tensor)]
        if len({values.device.type for values in tensors}) > 1:
            self.copies.append(max(values.numel() for values in tensors))
        self.operations.append(operation)
        return outputs


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("kind", WORLDS)
def test_an_epoch_asks_the_host_for_nothing_but_its_orders(kind, optimiser, monkeypatch):
    """On tensors without values, whatever reads one fails; what moves between devices is counted."""
    (parts, build), traffic, seen = WORLDS[kind], Traffic(), []
    upload, run = graphs.upload, Program.run

    def counted_upload(destination, values):
        seen.append((len(traffic.copies), values.numel()))
        upload(destination, values)

    def watched_run(self, monitor):
        with traffic:
            run(self, monitor)

    monkeypatch.setattr(program, "upload", counted_upload)
    monkeypatch.setattr(Program, "run", watched_run)
    options = TrainingOptions(epochs=3, batch_size=8, **OPTIMISERS[optimiser])
    state, losses = _train(build, parts, options, program.mode_on(META), META)
    assert losses.shape == (5, 3)
    assert all(values.device == META for values in state.values())
    assert len(traffic.operations) > 9 * 20  # the steps were watched
    assert seen == [(0, 105), (1, 105), (2, 105)]  # one upload an epoch: 21 positions for each of 5 students
    assert traffic.copies == [105, 105, 105]  # and nothing else travelled


def test_a_step_that_looks_at_a_value_is_found_out():
    """The test above can fail: on a device without values, a step that the host takes part in does."""
    parts, build = WORLDS["distillation"]
    asking = vmap.make_step

    def step_that_looks(*arguments):
        step = asking(*arguments)

        def looking(*batch):
            gradients, losses = step(*batch)
            return gradients, losses if losses.sum() > 0 else -losses

        return looking

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vmap, "make_step", step_that_looks)
        with pytest.raises(RuntimeError, match="meta"):
            _train(build, parts, TrainingOptions(epochs=1), program.mode_on(META), META)
