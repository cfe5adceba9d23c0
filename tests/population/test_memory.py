"""Students at once: arithmetic on faked memories, and estimates against what torch allocates."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import memory
from kd_uncertainty.population.memory import Needs, Sizes, needs_of, students_at_once, students_that_fit
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train

from .worlds import CPU, mlp, world

GIB = 2**30
SIZES = Sizes((7,), 21, 3)
SGD = TrainingOptions(optimiser="sgd", batch_size=7)


def test_as_many_fit_as_the_scarcer_memory_holds_twice_over():
    assert students_that_fit(Needs(100, 10), 2000, 10**9) == 10
    assert students_that_fit(Needs(100, 10), 2199, 10**9) == 10
    assert students_that_fit(Needs(100, 10), 2200, 10**9) == 11
    assert students_that_fit(Needs(100, 10), 10**9, 100) == 5
    assert students_that_fit(Needs(0, 10), 0, 100) == 5


@pytest.mark.parametrize(
    ("needs", "free", "words"),
    [
        (Needs(5 * GIB, 1), (9 * GIB, GIB), r"about 10 GiB of GPU memory and 9 GiB are free"),
        (Needs(1, 2 * GIB), (GIB, 3 * GIB), r"about 4 GiB of main memory and 3 GiB are free"),
    ],
)
def test_a_student_that_does_not_fit_is_a_sentence_that_says_what_to_do(needs, free, words):
    with pytest.raises(UserError, match=words) as caught:
        students_that_fit(needs, *free)
    assert "lower training.batch_size" in str(caught.value)
    assert "execution.chunk_size: 1" in str(caught.value)


@pytest.fixture
def free(monkeypatch):
    """Free bytes, as said by nobody but the test."""
    found = SimpleNamespace(host=64 * GIB, gpu=0, reserved=0, allocated=0)
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: SimpleNamespace(available=found.host))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (found.gpu, 10**15))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: found.reserved)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: found.allocated)
    return found


def test_a_cpu_trains_72_at_once_or_as_many_as_its_memory_holds(free):
    build = mlp(7, 3, 16)
    assert students_at_once("auto", build, SIZES, SGD, CPU) == 72
    needs = needs_of(build(), SIZES, SGD)
    free.host = 2 * 10 * (needs.device + needs.host)
    assert students_at_once("auto", build, SIZES, SGD, CPU) == 10
    assert students_at_once(500, build, SIZES, SGD, CPU) == 500  # as asked for
    free.host = 100
    with pytest.raises(UserError, match="main memory"):
        students_at_once("auto", build, SIZES, SGD, CPU)


def test_a_gpus_free_memory_counts_with_what_torch_holds_in_reserve(free):
    free.gpu, free.reserved, free.allocated = 1000, 300, 100
    assert memory._free_on_gpu(torch.device("cuda")) == 1200


def test_a_gpu_trains_what_fits_it(free, monkeypatch):
    """The network is moved to the GPU there; here it stays, and only the numbers are a GPU's."""
    monkeypatch.setattr(nn.Module, "to", lambda network, device: network)
    monkeypatch.setattr(memory, "reproducible", lambda device, precision: torch.random.fork_rng(devices=[]))
    needs, gpu = needs_of(mlp(7, 3, 16)(), SIZES, SGD), torch.device("cuda")
    free.gpu = 2 * 1234 * needs.device
    assert students_at_once("auto", mlp(7, 3, 16), SIZES, SGD, gpu) == 1234
    free.host = 2 * 55 * needs.host  # many tables of targets
    assert students_at_once("auto", mlp(7, 3, 16), SIZES, SGD, gpu) == 55
    free.gpu = 0
    with pytest.raises(UserError, match="GPU memory and 0 GiB"):
        students_at_once("auto", mlp(7, 3, 16), SIZES, SGD, gpu)


def test_needs_are_counted_by_hand():
    """Linear(7, 3): 24 parameters; the batch's inputs are kept for the weight's gradient, as is the loss's own."""
    parameters, batch, outputs = 4 * (7 * 3 + 3), 7 * 7 * 4, 7 * 3 * 4
    example, table = 4 * (7 + 2 * 3) + 3 * 8, 21 * (4 * 3 + 8)
    step = 2 * (batch + 3 * outputs) + 7 * example
    assert needs_of(nn.Linear(7, 3), SIZES, SGD) == (6 * parameters + step + table, table + 2 * parameters)
    momentum = SGD.model_copy(update={"momentum": 0.9})
    assert needs_of(nn.Linear(7, 3), SIZES, momentum).device == 8 * parameters + step + table
    adam = SGD.model_copy(update={"optimiser": "adam"})
    assert needs_of(nn.Linear(7, 3), SIZES, adam).device == 10 * parameters + step + table
    partial = SGD.model_copy(update={"batch_size": 6})
    smaller = 2 * (6 * 7 * 4 + 3 * 6 * 3 * 4) + 6 * example
    assert needs_of(nn.Linear(7, 3), SIZES, partial).device == 6 * parameters + 2 * smaller + table
    whole = SGD.model_copy(update={"batch_size": 1000})
    assert needs_of(nn.Linear(7, 3), SIZES, whole).device == 6 * parameters + 3 * step + table


class _Peak(torch.utils._python_dispatch.TorchDispatchMode):
    """The most bytes that tensors made within it held at once."""

    def __init__(self):
        super().__init__()
        self.held, self.most = {}, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        outputs = operation(*args, **(kwargs or {}))
        for values in torch.utils._pytree.tree_leaves(outputs):
            if isinstance(values, torch.Tensor):
                storage = values.untyped_storage()
                self.held[storage._cdata] = (torch.multiprocessing.reductions.StorageWeakRef(storage), storage.nbytes())
        self.held = {place: (ref, size) for place, (ref, size) in self.held.items() if not ref.expired()}
        self.most = max(self.most, sum(size for _, size in self.held.values()))
        return outputs


@pytest.mark.parametrize("dropout", [0.0, 0.5])
@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
@pytest.mark.parametrize("hidden", [(8,), (128, 128), (512,)])
def test_estimates_hold_what_a_training_takes(hidden, optimiser, dropout, monkeypatch):
    """Peak of a training of 16 students, capturable as on a GPU, against 16 times the doubled estimate."""
    from kd_uncertainty.population import dropout as masks
    from kd_uncertainty.population import graphs
    from kd_uncertainty.population.backends import program

    monkeypatch.setattr(masks, "_kept_by_numpy", masks._kept_by_torch)
    monkeypatch.setattr(program, "mode_on", lambda device: program.Mode(graphs.run_eagerly, capturable=True))
    monkeypatch.setattr("kd_uncertainty.population.backends.vmap.mode_on", program.mode_on)
    inputs, labels, cohort = world(16, 150, 20, 4)
    options = TrainingOptions(epochs=1, batch_size=64, optimiser=optimiser)
    build = mlp(20, 4, *hidden, dropout=dropout)
    peak = _Peak()
    with peak:
        train(build, inputs, labels, cohort, options, backend="vmap", chunk_size=16)
    estimate = 16 * needs_of(build(), Sizes((20,), 150, 4), options).device
    assert estimate / 4 < peak.most < memory.SAFETY * estimate


def test_auto_changes_no_result(free):
    inputs, labels, cohort = world(6, 21, 7, 3)
    options = TrainingOptions(epochs=2, batch_size=8)
    expected = train(mlp(7, 3, 6), inputs, labels, cohort, options, chunk_size=6)
    needs = needs_of(mlp(7, 3, 6)(), SIZES, options)
    for students in (72, 4, 1):
        free.host = 2 * students * (needs.device + needs.host)
        found = train(mlp(7, 3, 6), inputs, labels, cohort, options, chunk_size="auto")
        assert torch.equal(found.losses, expected.losses)
        for name, values in expected.parameters.items():
            assert torch.equal(found.parameters[name], values)


def test_looking_at_a_network_draws_no_random_numbers_that_anybody_notices():
    before = torch.default_generator.get_state()
    students_at_once("auto", mlp(7, 3, 16, dropout=0.5), SIZES, SGD, CPU)
    assert torch.equal(torch.default_generator.get_state(), before)
