"""Computes the shards of any long job, in this process or in several, and says how far it is."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for_sentinel
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.errors import UserError

Shard = tuple[int, dict[str, Tensor]]

Compute = Callable[[int, Callable[[int], None]], dict[str, Tensor]]
"""From a shard's number and a function that takes finished steps to the shard's tensors. It is pickled once for every
worker process, and may keep there what it needs again, such as a model."""

_POLL_SECONDS = 0.2
QUEUED_PER_WORKER = 2
"""Shards: enough to keep workers busy, few enough that finished ones do not pile up in memory."""


class Counter:
    """Turns finished steps into finished units on a bar.

    Args:
        bar: counts units.
        steps: that make a unit.
    """

    def __init__(self, bar: tqdm[Any], steps: int = 1) -> None:
        self.bar, self.steps, self.done = bar, steps, 0

    def add(self, steps: int) -> None:
        """Count further steps."""
        self.set(self.done + steps)

    def set(self, steps: int) -> None:
        """Set the steps that are done."""
        self.done = steps
        self.bar.update(self.done // self.steps - self.bar.n)


def run_shards(
    compute: Compute, wanted: Sequence[int], processes: int, counter: Counter, *, doing: str, mend: str
) -> Iterator[Shard]:
    """Compute shards and yield each as ``(index, tensors)`` when it is finished, in any order.

    Args:
        compute: computes one.
        wanted: the shards' numbers.
        processes: worker processes, each with one thread of torch; 1 computes in this process, with its threads.
        counter: is told of finished steps.
        doing: what a worker does, for the message about one that died: "trained students".
        mend: what to lower then: "execution.workers".

    Raises:
        UserError: if a worker process dies.
    """
    processes = min(processes, len(wanted))
    if processes > 1:
        yield from _run_in_processes(compute, wanted, processes, counter, doing, mend)
        return
    for index in wanted:
        yield index, compute(index, counter.add)


def _run_in_processes(
    compute: Compute, wanted: Sequence[int], workers: int, counter: Counter, doing: str, mend: str
) -> Iterator[Shard]:
    # Spawn, not fork: a forked child inherits the locks of torch's threads, and cannot use CUDA.
    spawn = multiprocessing.get_context("spawn")
    done, stop = spawn.Value("q", 0), spawn.Event()
    executor = ProcessPoolExecutor(workers, spawn, initializer=_start_worker, initargs=(compute, done, stop))
    waiting, running = iter(wanted), set[Future[Shard]]()
    try:
        while True:
            for index in waiting:
                running.add(executor.submit(_compute_in_worker, index))
                if len(running) >= QUEUED_PER_WORKER * workers:
                    break
            if not running:
                return
            finished, running = wait(running, _POLL_SECONDS, FIRST_COMPLETED)
            counter.set(done.value)
            yield from (future.result() for future in finished)
    except BrokenProcessPool as error:
        raise UserError(
            f"a worker process died while it {doing}, as happens when memory runs out; finished shards are kept: "
            f"lower {mend} and run again"
        ) from error
    finally:
        stop.set()
        executor.shutdown(wait=True, cancel_futures=True)


class _Stopped(Exception):  # noqa: N818
    """The parent needs no more results."""


_worker: dict[str, Any] = {}


def _start_worker(compute: Compute, done: Any, stop: Any) -> None:
    torch.set_num_threads(1)
    _worker.update(compute=compute, done=done, stop=stop)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """End this process when its parent is gone, so that a killed run leaves nothing behind that works on."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait_for_sentinel([parent.sentinel])
        os._exit(1)


def _compute_in_worker(index: int) -> Shard:
    def on_progress(steps: int) -> None:
        if _worker["stop"].is_set():
            raise _Stopped
        with _worker["done"].get_lock():
            _worker["done"].value += steps

    return index, _worker["compute"](index, on_progress)
