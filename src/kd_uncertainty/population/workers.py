"""Runs the shards of a population: in this process, in several, or in threads of the compiled kernel."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_sentinel
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.memory import ChunkSize

__all__ = ["PopulationJob", "run"]

Shard = tuple[int, dict[str, Tensor]]
_POLL_SECONDS = 0.2
_THREADS_PER_PROCESS = 8  # of the kernel: a shard has students for so many without leaving the last ones idle for long
_QUEUED_PER_WORKER = 2  # enough to keep workers busy, few enough that finished shards do not pile up in memory


def run(
    job: PopulationJob,
    indices: Iterable[int] | None = None,
    *,
    workers: int = 1,
    device: torch.device | None = None,
    chunk_size: ChunkSize = 32,
    progress: bool = True,
) -> Iterator[Shard]:
    """Train shards and yield each as ``(index, tensors)`` when it is finished, in any order.

    The tensors are those of :meth:`PopulationJob.train_shard`, the same bits for any number of workers, chunk size and
    choice of shards.

    Args:
        job: the population.
        indices: shards to train, such as ``ShardStore.missing()``; all by default.
        workers: cores to use, by a process each, or by threads where the backend has its own; 1 trains in this process.
            On a GPU it is this process in any case: others would share the same device, and its memory.
        device: where to train; the CPU by default.
        chunk_size: students trained at once in a process, or "auto".
        progress: show a progress bar, in students.

    Raises:
        UserError: if the job cannot be run, a student's training diverges, or a worker process dies.
    """
    device = device or torch.device("cpu")
    wanted = list(range(job.num_shards) if indices is None else indices)
    if not wanted:
        return
    job.check()
    backend, _ = job.choose_backend(device)
    processes, threads = _divide(workers, backend, device)
    processes = min(processes, len(wanted))
    students = sum(len(job.rows(index)) for index in wanted)
    with tqdm(total=students, unit="student", desc="students", disable=not progress) as bar:
        counter = _Counter(bar, job.training.epochs)
        if processes == 1:
            for index in wanted:
                yield index, job.train_shard(index, backend, device, chunk_size, counter.add, threads)
        else:
            yield from _run_in_processes((job, backend, device, chunk_size, threads), wanted, processes, counter)


def _divide(workers: int, backend: str, device: torch.device) -> tuple[int, int]:
    """Return processes and threads of each. The kernel's threads spare the seconds that a process takes to start."""
    if device.type != "cpu":
        return 1, 1
    if backend != "native":
        return workers, 1
    processes = max(1, workers // _THREADS_PER_PROCESS)
    return processes, workers // processes


class _Counter:
    """Turns finished student-epochs into finished students on the bar."""

    def __init__(self, bar: tqdm[Any], epochs: int) -> None:
        self.bar, self.epochs, self.done = bar, epochs, 0

    def add(self, student_epochs: int) -> None:
        self.set(self.done + student_epochs)

    def set(self, student_epochs: int) -> None:
        self.done = student_epochs
        self.bar.update(self.done // self.epochs - self.bar.n)


def _run_in_processes(context: tuple[Any, ...], wanted: list[int], workers: int, counter: _Counter) -> Iterator[Shard]:
    # Spawn, not fork: a forked child inherits the locks of torch's threads, and cannot use CUDA.
    spawn = multiprocessing.get_context("spawn")
    done, stop = spawn.Value("q", 0), spawn.Event()
    executor = ProcessPoolExecutor(workers, spawn, initializer=_start_worker, initargs=(context, done, stop))
    waiting, running = iter(wanted), set[Future[Shard]]()
    try:
        while True:
            for index in waiting:
                running.add(executor.submit(_train_in_worker, index))
                if len(running) >= _QUEUED_PER_WORKER * workers:
                    break
            if not running:
                return
            finished, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
            counter.set(done.value)
            yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        raise UserError(
            "a worker process died while it trained students, as happens when memory runs out; finished shards are "
            "kept: lower execution.workers or execution.chunk_size and run again"
        ) from error
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


class _Stopped(Exception):  # noqa: N818
    """The parent needs no more results."""


_worker: dict[str, Any] = {}


def _start_worker(context: tuple[Any, ...], done: Any, stop: Any) -> None:
    torch.set_num_threads(1)
    _worker.update(context=context, done=done, stop=stop)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End this process when its parent is gone, so that a killed run leaves nothing behind that trains on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)


def _train_in_worker(index: int) -> Shard:
    job, backend, device, chunk_size, threads = _worker["context"]

    def on_epoch(students: int) -> None:
        if _worker["stop"].is_set():
            raise _Stopped
        with _worker["done"].get_lock():
            _worker["done"].value += students

    return index, job.train_shard(index, backend, device, chunk_size, on_epoch, threads)
