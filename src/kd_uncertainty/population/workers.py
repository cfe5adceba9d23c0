"""Runs the shards of a population: in this process, in several, in threads of the compiled kernel, or on a cluster."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Protocol

import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.choice import arithmetic_of
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.memory import ChunkSize
from kd_uncertainty.population.processes import Compute, Counter, Shard, run_shards

__all__ = ["Cluster", "PopulationJob", "run"]

_THREADS_PER_PROCESS = 8  # of the kernel: a shard has students for so many without leaving the last ones idle for long


class Cluster(Protocol):
    """Machines that compute shards in place of this one, such as ``kd_uncertainty.cluster.ShardCluster``."""

    @property
    def threads(self) -> int:
        """Cores of one shard."""

    def run_shards(
        self, compute: Compute, wanted: Sequence[int], counter: Counter, *, doing: str, mend: str
    ) -> Iterator[Shard]:
        """Compute shards; as ``processes.run_shards``."""


def run(
    job: PopulationJob,
    indices: Iterable[int] | None = None,
    *,
    workers: int = 1,
    device: torch.device | None = None,
    chunk_size: ChunkSize = 32,
    progress: bool = True,
    cluster: Cluster | None = None,
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
        cluster: where to train in place of this machine; it counts its own workers.

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
    train = partial(_train_shard, job, backend, device, chunk_size, threads if cluster is None else cluster.threads)
    students = sum(len(job.rows(index)) for index in wanted)
    with tqdm(total=students, unit="student", desc="students", disable=not progress) as bar:
        counter = Counter(bar, job.training.epochs)
        doing, mend = "trained students", "execution.workers or execution.chunk_size"
        if cluster is None:
            yield from run_shards(train, wanted, processes, counter, doing=doing, mend=mend)
        else:
            alike = partial(_train_alike, train, backend, _arithmetic(backend))
            yield from cluster.run_shards(alike, wanted, counter, doing=doing, mend=mend)


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


def _train_alike(
    train: Compute, backend: str, arithmetic: str, index: int, on_epoch: Callable[[int], None]
) -> dict[str, Tensor]:
    """Train a shard if this machine rounds as that which asked for it, whose name the results will carry."""
    here = _arithmetic(backend)
    if here != arithmetic:
        raise UserError(
            f"machine {platform.node()} of the cluster computes with {here}, and the one that started the run with "
            f"{arithmetic}, so the last bits of its students would differ; use machines with equal processors and torch"
        )
    return train(index, on_epoch)


def _arithmetic(backend: str) -> str:
    return f"torch {torch.__version__}, {arithmetic_of(backend) or platform.machine()}"


def _divide(workers: int, backend: str, device: torch.device) -> tuple[int, int]:
    """Return processes and threads of each. The kernel's threads spare the seconds that a process takes to start."""
    if device.type != "cpu":
        return 1, 1
    if backend != "native":
        return workers, 1
    processes = max(1, workers // _THREADS_PER_PROCESS)
    return processes, workers // processes
