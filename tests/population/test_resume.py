"""Killed at any moment and run again, a population ends with the bytes of an uninterrupted run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.population.native import library
from kd_uncertainty.population.shards import MANIFEST, ShardStore

from .resume_script import train

SCRIPT = Path(__file__).with_name("resume_script.py")


def _start(folder, backend="vmap"):
    return subprocess.Popen([sys.executable, str(SCRIPT), str(folder), backend], start_new_session=True)


def _digests(folder):
    return {path.name: sha256_of(path) for path in sorted(folder.iterdir())}


def _wait_until(condition, seconds=60.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.mark.parametrize("backend", ["vmap", "native"])
def test_killed_with_its_workers_it_continues_and_ends_bit_identical(tmp_path, backend):
    if backend == "native" and library.obstacle() is not None:
        pytest.skip("no compiler")
    folder, uninterrupted = tmp_path / "population", tmp_path / "uninterrupted"
    train(uninterrupted, backend, workers=1, chunk_size=32)
    process = _start(folder, backend)
    _wait_until(lambda: (folder / MANIFEST).exists() or process.poll() is not None)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait(30) == -signal.SIGKILL

    opened = ShardStore.open(folder)
    finished = set(range(opened.num_shards)) - set(opened.missing())
    assert 0 < len(finished) < opened.num_shards
    times = {index: opened.path(index).stat().st_mtime_ns for index in finished}

    assert _start(folder, backend).wait(120) == 0
    assert _digests(folder) == _digests(uninterrupted)
    assert {index: opened.path(index).stat().st_mtime_ns for index in finished} == times


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs /proc")
def test_workers_do_not_outlive_a_killed_parent(tmp_path):
    folder = tmp_path / "population"
    process = _start(folder)
    _wait_until(lambda: (folder / MANIFEST).exists() or process.poll() is not None)
    process.kill()
    process.wait(30)

    def group_is_empty():
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:
            return True
        return all("State:\tZ" in status for status in _statuses(process.pid))

    _wait_until(group_is_empty, 20)


def _statuses(group):
    """The status files of all processes in a process group."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if os.getpgid(int(entry.name)) == group:
                    yield (entry / "status").read_text()
            except (ProcessLookupError, FileNotFoundError):
                continue
