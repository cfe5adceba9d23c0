"""What only a GPU can show: graphs against calls, GPU against CPU, no waiting, memory, time (``pytest -m gpu -s``)."""

import itertools
import statistics
import time

import pytest
import torch

from kd_uncertainty.population import graphs
from kd_uncertainty.population.backends import vmap
from kd_uncertainty.population.backends.program import Mode, mode_on
from kd_uncertainty.population.choice import choose_backend
from kd_uncertainty.population.contract import Monitor
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.memory import SAFETY, Sizes, needs_of, students_at_once
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train

from ..population.worlds import Convolutional, Residual, mlp, regression_world, resampled, switching, world

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")]
GPU = torch.device("cuda")

WORLDS = {
    "distillation": (world(5, 150, 7, 3), mlp(7, 3, 16, 5)),
    "switching": ((*world(5, 150, 7, 3)[:2], switching(world(5, 150, 7, 3)[2])), mlp(7, 3, 6)),
    "mse": (regression_world(5, 150, 7, 2), mlp(7, 2, 9)),
    "rows": ((*world(5, 190, 7, 3)[:2], resampled(world(5, 190, 7, 3)[2], 150)), mlp(7, 3, 6)),
    "dropout": (world(5, 150, 7, 3), mlp(7, 3, 16, dropout=0.4)),
    "general": (world(5, 150, 7, 3), lambda: Residual(7, 3)),
    "convolutional": (world(5, 150, 64, 3), lambda: Convolutional(64, 3)),
}
OPTIMISERS = {
    "momentum": {"optimiser": "sgd", "momentum": 0.9, "learning_rate": 0.02},
    "adam": {"optimiser": "adam", "weight_decay": 1e-2},
    "adamw": {"optimiser": "adamw", "weight_decay": 1e-2, "schedule": "cosine", "warmup_epochs": 1},
}
NO_MONITOR = Monitor(lambda *_: None)


def _vmap_on_gpu(build, parts, options, monitor=NO_MONITOR):
    inputs, labels, cohort = parts
    with reproducible(GPU, options.precision):
        initial = initial_states(build, cohort.initialisation_seeds, GPU)
        arguments = (inputs.to(GPU), labels.to(GPU), cohort.to(GPU), options, monitor)
        return vmap.train_cohort(build, initial, *arguments)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("kind", WORLDS)
def test_replays_equal_calls(kind, optimiser, monkeypatch):
    parts, build = WORLDS[kind]
    for batch_size in (64, 50, 150):
        options = TrainingOptions(epochs=3, batch_size=batch_size, **OPTIMISERS[optimiser])
        monkeypatch.setattr(vmap, "mode_on", mode_on)
        found = _vmap_on_gpu(build, parts, options)
        monkeypatch.setattr(vmap, "mode_on", lambda device: Mode(graphs.run_eagerly, capturable=True))
        for name, values in _vmap_on_gpu(build, parts, options).items():
            torch.testing.assert_close(found[name], values, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.parametrize("kind", WORLDS)
def test_vmap_on_the_gpu_is_the_loop_on_the_cpu_to_rounding(kind, optimiser):
    parts, build = WORLDS[kind]
    options = TrainingOptions(epochs=2, batch_size=64, **OPTIMISERS[optimiser])
    expected = train(build, *parts, options, backend="loop")
    found = train(build, *parts, options, backend="vmap", device=GPU)
    torch.testing.assert_close(found.losses, expected.losses, rtol=1e-3, atol=1e-4)
    for name, values in expected.parameters.items():
        torch.testing.assert_close(found.parameters[name], values, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", WORLDS)
def test_the_host_waits_for_nothing_once_the_steps_are_captured(kind):
    """Torch raises at every synchronisation from the end of the first epoch to the end of the last."""
    parts, build = WORLDS[kind]

    def watch(students, epochs, state, losses):
        torch.cuda.set_sync_debug_mode("default" if epochs.stop == 5 else "error")

    try:
        _vmap_on_gpu(build, parts, TrainingOptions(epochs=5, batch_size=64), Monitor(watch))
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_auto_takes_vmap():
    inputs, _, _ = world(2, 150, 7, 3)
    build = mlp(7, 3, 16)
    assert choose_backend(build, "auto", inputs, 3, TrainingOptions(), GPU)[0] == "vmap"


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precisions_learn_alike(precision):
    inputs, labels, cohort = world(8, 300, 64, 10)
    options = TrainingOptions(epochs=5, batch_size=64)
    build = mlp(64, 10, 128)
    exact = train(build, inputs, labels, cohort, options, backend="vmap", device=GPU)
    lower = options.model_copy(update={"precision": precision})
    found = train(build, inputs, labels, cohort, lower, backend="vmap", device=GPU)
    torch.testing.assert_close(found.losses, exact.losses, rtol=0.03, atol=0.02)


@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_estimated_memory_holds_what_a_training_takes(dropout):
    inputs, labels, cohort = world(256, 1000, 64, 10)
    build, options = mlp(64, 10, 128, 128, dropout=dropout), TrainingOptions(epochs=1, batch_size=64)
    torch.cuda.empty_cache()
    before = torch.cuda.memory_reserved()
    torch.cuda.reset_peak_memory_stats()
    train(build, inputs, labels, cohort, options, backend="vmap", device=GPU, chunk_size=256)
    taken = torch.cuda.max_memory_reserved() - before
    estimate = 256 * needs_of(build(), Sizes((64,), 1000, 10), options).device
    print(f"\ndropout {dropout}: {taken / 2**20:.0f} MiB taken, {estimate / 2**20:.0f} MiB estimated")
    assert taken < SAFETY * estimate + 2**27  # and workspaces of libraries
    assert students_at_once("auto", build, Sizes((64,), 1000, 10), options, GPU) >= 256


@pytest.mark.parametrize("students", [128, 1024])
def test_time_of_an_epoch(students, monkeypatch):
    """Prints microseconds a student-epoch: captured, called, and in lower precisions; captured is the fastest."""
    parts, build, found = world(students, 1078, 64, 10), mlp(64, 10, 32), {}
    for name, capture, precision in (
        ("captured", graphs.capture, "float32"),
        ("called", graphs.run_eagerly, "float32"),
        ("captured, tf32", graphs.capture, "tf32"),
        ("captured, bf16", graphs.capture, "bf16"),
    ):
        monkeypatch.setattr(vmap, "mode_on", lambda device, capture=capture: Mode(capture, capturable=True))
        times = []

        def clock(*_, times=times):
            torch.cuda.synchronize()
            times.append(time.perf_counter())

        options = TrainingOptions(epochs=12, batch_size=64, precision=precision)
        _vmap_on_gpu(build, parts, options, Monitor(clock))
        gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
        found[name] = 1e6 * statistics.median(gaps) / students
        print(f"\n{students} students, {name}: {found[name]:.1f} us a student-epoch, orders included")
    assert found["captured"] < found["called"]
