"""The same bits for any number of workers, chunk size, shard size and history."""

import os
import signal

import pytest
import torch
from tqdm import tqdm

from kd_uncertainty.errors import UserError
from kd_uncertainty.population import processes, workers
from kd_uncertainty.population.native import library
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.workers import run

from .worlds import CPU, small_job


def _students(job, indices=None, **settings):
    """Every tensor of every student, by student."""
    settings = {"progress": False} | settings
    found = {}
    for _, shard in run(job, indices, **settings):
        for position, student in enumerate(shard["students"].tolist()):
            found[student] = {name: values[position] for name, values in shard.items()}
    return found


def _assert_equal(found, expected):
    assert set(found) <= set(expected)
    for student, tensors in found.items():
        assert set(tensors) == set(expected[student])
        for name, values in tensors.items():
            assert torch.equal(values, expected[student][name]), (student, name)


@pytest.fixture(scope="module", params=["native", "vmap"])
def backend(request):
    if request.param == "native" and library.obstacle() is not None:
        pytest.skip("no compiler")
    return request.param


@pytest.fixture(scope="module")
def expected(backend):
    return _students(small_job(backend=backend), chunk_size=32)


def test_trains_every_student_once(expected):
    assert sorted(expected) == list(range(28))


@pytest.mark.parametrize("chunk_size", [1, 3, 5])
def test_chunk_size_changes_no_bit(expected, backend, chunk_size):
    _assert_equal(_students(small_job(backend=backend), chunk_size=chunk_size), expected)


@pytest.mark.parametrize("shard_size", [1, 5, 100])
def test_shard_size_changes_no_bit(expected, backend, shard_size):
    found = _students(small_job(backend=backend, shard_size=shard_size))
    _assert_equal(found, expected)
    assert len(found) == 28


def test_vmap_and_loop_give_the_same_bits():
    _assert_equal(_students(small_job(backend="loop")), _students(small_job(backend="vmap")))


def test_some_shards_alone_have_the_bits_that_they_have_among_all(expected, backend):
    found = _students(small_job(backend=backend), [3, 1])
    assert sorted(found) == [*range(8, 16), *range(24, 28)]
    _assert_equal(found, expected)


def test_workers_change_no_bit(expected, backend):
    found = _students(small_job(backend=backend), workers=2, chunk_size=3)
    _assert_equal(found, expected)
    assert len(found) == 28


def test_processes_of_threads_change_no_bit(monkeypatch):
    monkeypatch.setattr(workers, "_THREADS_PER_PROCESS", 2)
    _assert_equal(_students(small_job(), workers=4), _students(small_job()))


@pytest.mark.parametrize(
    ("cores", "backend", "expected"),
    [
        (1, "native", (1, 1)),
        (8, "native", (1, 8)),
        (9, "native", (1, 9)),
        (17, "native", (2, 8)),
        (64, "native", (8, 8)),
        (6, "vmap", (6, 1)),
    ],
)
def test_cores_are_divided_into_processes_and_threads(cores, backend, expected):
    assert workers._divide(cores, backend, CPU) == expected


def test_a_gpu_has_one_process():
    """Others would each take all the memory that they found free."""
    assert workers._divide(6, "vmap", torch.device("cuda")) == (1, 1)


def test_nothing_to_do_is_done_at_once():
    assert list(run(small_job(network_arguments={"hiden": 1}), [])) == []


def test_the_job_is_checked_before_any_work():
    with pytest.raises(UserError, match="cannot be built"):
        next(run(small_job(network_arguments={"hiden": 1}), progress=False))


@pytest.mark.parametrize("count", [1, 2])
def test_divergence_in_any_process_names_the_student_of_the_plan(count):
    job = small_job(training=TrainingOptions(epochs=5, optimiser="sgd", learning_rate=1e30))
    with pytest.raises(UserError, match=r"student \d+: the training loss became"):
        list(run(job, [2, 3], workers=count, progress=False))


@pytest.mark.parametrize("count", [1, 2])
def test_a_network_that_fails_in_any_process_is_named(count):
    job = small_job(network_class="tests.population.worlds.Picky", network_arguments={}, backend="loop")
    with pytest.raises(UserError, match=r"^network class 'tests\.population\.worlds\.Picky': training fails: KeyError"):
        list(run(job, [2, 3], workers=count, progress=False))


def test_a_killed_worker_is_reported_as_such(monkeypatch):
    """The worker kills itself in its initialiser's place; whoever waits for it must hear of it."""
    monkeypatch.setattr(processes, "_start_worker", _die)
    with pytest.raises(UserError, match=r"a worker process died .* execution.workers or execution.chunk_size"):
        list(run(small_job(backend="vmap"), workers=2, progress=False))


def _die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("count", [1, 2])
def test_the_bar_counts_students(monkeypatch, count):
    bars = []

    class Bar(tqdm):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            bars.append(self)

    monkeypatch.setattr(workers, "tqdm", Bar)
    list(run(small_job(), [0, 3], workers=count))
    (bar,) = bars
    assert (bar.n, bar.total, bar.unit) == (12, 12, "student")


def test_stopping_early_ends_the_workers():
    shards = run(small_job(training=TrainingOptions(epochs=40), backend="vmap"), workers=2, progress=False)
    next(shards)
    shards.close()
    with pytest.raises(StopIteration):
        next(shards)
