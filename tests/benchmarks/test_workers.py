from __future__ import annotations

import os

import numpy as np
import pytest

from benchmarks import worker
from benchmarks.contenders import torch_loops
from benchmarks.workers import ContenderError, Workers, _environment, _shares, _Worker, available_cores

from .problems import small

FUNCTION = "torch_loops:indexing_loop"


@pytest.fixture(scope="module")
def workers():
    with Workers(available_cores(2)) as workers:
        yield workers


def test_a_worker_trains_what_this_process_would(workers):
    timing = workers.run(FUNCTION, small(), 3, seed=7)
    np.testing.assert_allclose(timing.losses, torch_loops.indexing_loop(small(), range(3), 7, 1), rtol=1e-6)
    assert 0 < timing.seconds < 60


def test_processes_share_the_students(workers):
    if len(workers.cores) < 2:
        pytest.skip("one core")
    timing = workers.run(FUNCTION, small(), 5, seed=7, layout=(2, 1))
    np.testing.assert_allclose(timing.losses, torch_loops.indexing_loop(small(), range(5), 7, 1), rtol=1e-6)


def test_what_fails_says_why_and_the_worker_lives_on(workers):
    with pytest.raises(ContenderError, match="unexpected keyword argument 'colour'"):
        workers.run(FUNCTION, small(), 1, seed=0, setting={"colour": "blue"})
    assert len(workers.run(FUNCTION, small(), 1, seed=0).losses) == 1


def test_a_worker_that_dies_at_work_says_so():
    process = _Worker(_environment(1, wide=False), available_cores(1))
    process._process.kill()
    process._process.wait()
    process.send({"function": FUNCTION})
    assert process.receive() == {"error": "the worker process ended with exit code -9"}
    process.stop()


def test_a_dead_worker_is_replaced(workers):
    workers.run(FUNCTION, small(), 1, seed=0)
    for process in workers._running.values():
        process._process.kill()
        process._process.wait()
    assert len(workers.run(FUNCTION, small(), 1, seed=0).losses) == 1


def test_students_are_dealt_out_once_each():
    for students in (1, 2, 7, 128):
        for processes in (1, 2, 3):
            shares = list(_shares(students, processes))
            assert [student for share in shares for student in share] == list(range(students))
            assert max(map(len, shares)) - min(map(len, shares)) <= 1


def test_libraries_are_told_how_many_threads():
    environment = _environment(2, wide=True)
    assert {environment[name] for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NPROC")} == {"2"}
    assert environment["PATH"] == os.environ["PATH"]
    assert "512" in environment["XLA_FLAGS"]


def test_cores_are_those_that_this_process_may_use():
    cores = available_cores(2)
    assert 1 <= len(cores) <= 2
    if hasattr(os, "sched_getaffinity"):
        assert set(cores) <= os.sched_getaffinity(0)


def test_memory_is_what_the_peak_adds():
    before = worker._reset_peak()
    if before is None:
        pytest.skip("Linux only")
    block = np.ones(1 << 23)  # 64 MiB, touched and given back
    del block
    assert worker._status("VmHWM") - before == pytest.approx(1 << 26, rel=0.1)
