"""Processes that train for the races: started once, kept alive, and asked in turn.

Thread counts, cores and compiler flags belong to a process, so each family of contenders has its own for every number
of threads. A worker that is not asked sleeps on its pipe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from benchmarks.problems import Problem

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = {"jax_population": "jax", "ours": "ours"}


class ContenderError(Exception):
    """A contender raised; the message is the last line of its traceback."""


class Timing(NamedTuple):
    """One run of a contender.

    Attributes:
        seconds: wall time, of the slowest process if there are several.
        losses: mean training loss of each student's last epoch, if asked for.
        memory: bytes by which resident memory grew at its peak, summed over processes; None where it is unknown.
    """

    seconds: float
    losses: list[float]
    memory: int | None


class Workers:
    """All worker processes of a benchmark; use as a context manager.

    Args:
        cores: the processor cores that contenders may use.
        instructions: the machine's vector instructions, as ``limits`` names them.
    """

    def __init__(self, cores: Sequence[int], instructions: str = "generic") -> None:
        self.cores = list(cores)
        self._wide = instructions == "avx512"
        self._folder = tempfile.TemporaryDirectory(prefix="kd-bench-")
        self._problems: dict[str, Path] = {}
        self._running: dict[tuple[str, tuple[int, ...]], _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            self._folder.cleanup()

    def stop(self) -> None:
        """End all processes; they start again when asked."""
        for worker in self._running.values():
            worker.stop()
        self._running.clear()

    def run(
        self,
        function: str,
        problem: Problem,
        students: int,
        seed: int,
        layout: tuple[int, int] = (1, 1),
        setting: Mapping[str, Any] | None = None,
    ) -> Timing:
        """Train ``students`` students by a contender's function, dealt out to the processes of the layout.

        Raises:
            ContenderError: if the contender raises.
        """
        processes, threads = layout
        path = self._path_of(problem)
        asked = []
        for process, share in enumerate(_shares(students, processes)):
            worker = self._worker(function, self.cores[process * threads : (process + 1) * threads])
            request = {"function": function, "problem": str(path), "students": [share.start, share.stop]}
            worker.send({**request, "seed": seed, "threads": threads, "setting": dict(setting or {})})
            asked.append(worker)
        replies = [worker.receive() for worker in asked]
        for reply in replies:
            if "error" in reply:
                raise ContenderError(reply["error"])
        memory = [reply["memory"] for reply in replies]
        return Timing(
            max(reply["seconds"] for reply in replies),
            [loss for reply in replies for loss in reply["losses"]],
            None if None in memory else sum(memory),
        )

    def _path_of(self, problem: Problem) -> Path:
        if problem.name not in self._problems:
            path = Path(self._folder.name) / f"{len(self._problems)}.npz"
            problem.save(path)
            self._problems[problem.name] = path
        return self._problems[problem.name]

    def _worker(self, function: str, cores: Sequence[int]) -> _Worker:
        module = function.partition(":")[0]
        key = (FAMILIES.get(module, "peers"), tuple(cores))
        if key in self._running and not self._running[key].alive:
            self._running.pop(key).stop()
        if key not in self._running:
            self._running[key] = _Worker(_environment(len(cores), self._wide), cores)
        return self._running[key]


def _shares(students: int, processes: int) -> Iterator[range]:
    for process in range(processes):
        yield range(students * process // processes, students * (process + 1) // processes)


def _environment(threads: int, wide: bool) -> dict[str, str]:
    """Environment of a worker: its thread count for every library, and XLA's widest vectors (2 to 6 % faster)."""
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"), str(threads))
    flags = {"XLA_FLAGS": "--xla_cpu_prefer_vector_width=512"} if wide else {}
    return {**os.environ, **counts, **flags, "JAX_PLATFORMS": "cpu", "PYTHONWARNINGS": "ignore"}


class _Worker:
    """One child process, spoken to in lines of JSON."""

    def __init__(self, environment: Mapping[str, str], cores: Sequence[int]) -> None:
        command = [sys.executable, "-m", "benchmarks.worker", *map(str, cores)]
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def send(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # a process that has died says so when it is asked for its reply
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            return {"error": f"the worker process ended with exit code {self._process.wait()}"}
        reply: dict[str, Any] = json.loads(line)
        return reply

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def available_cores(wanted: int) -> list[int]:
    """Return the first ``wanted`` cores that this process may run on, fewer if there are fewer."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else list(range(os.cpu_count() or 1))
    return cores[:wanted]
