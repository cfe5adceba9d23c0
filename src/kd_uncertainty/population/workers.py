"""Runs the shards of a population: in this process, in several, or in threads of the compiled kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.memory import ChunkSize
from kd_uncertainty.population.processes import Counter, Shard, run_shards

__all__ = ["PopulationJob", "run"]

_THREADS_PER_PROCESS = 8  # of the kernel: a shard has students for so many without leaving the last ones idle for long


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
    train = partial(_train_shard, job, backend, device, chunk_size, threads)
    students = sum(len(job.rows(index)) for index in wanted)
    with tqdm(total=students, unit="student", desc="students", disable=not progress) as bar:
        counter = Counter(bar, job.training.epochs)
        mend = "execution.workers or execution.chunk_size"
        yield from run_shards(train, wanted, processes, counter, doing="trained students", mend=mend)


def _train_shard(
    job: PopulationJob,
    backend: str,
    device: torch.device,
    chunk_size: ChunkSize,
    threads: int,
    index: int,
    on_epoch: Callable[[int], None],
) -> dict[str, Tensor]:
    return job.train_shard(index, backend, device, chunk_size, on_epoch, threads)


def _divide(workers: int, backend: str, device: torch.device) -> tuple[int, int]:
    """Return processes and threads of each. The kernel's threads spare the seconds that a process takes to start."""
    if device.type != "cpu":
        return 1, 1
    if backend != "native":
        return workers, 1
    processes = max(1, workers // _THREADS_PER_PROCESS)
    return processes, workers // processes
