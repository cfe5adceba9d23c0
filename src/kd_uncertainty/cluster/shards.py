"""Computes the shards of a long job as tasks of a Ray cluster; ``population.processes`` does so in processes here."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from kd_uncertainty.cluster.connection import TRIES, cancel, connect, import_ray, machines, require
from kd_uncertainty.cluster.failures import translated
from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.errors import UserError, user_error
from kd_uncertainty.population.processes import QUEUED_PER_WORKER, Compute, Counter, Shard

SHARDS = "shards"
"""Tag of a node that hands its work to the cluster, shard by shard, where ``execution.engine`` is "ray"."""


@dataclass(frozen=True)
class ShardCluster:
    """Where shards are computed, and what each occupies.

    Attributes:
        address: as of :func:`~kd_uncertainty.cluster.connection.connect`.
        resources: what a shard occupies; its GPUs count only where shards are computed on one.
        device: "auto" for a GPU if there is a machine with enough of them, "cpu" or "cuda".
        workers: shards computed at once, or "auto" for as many as the cluster has room for.
    """

    address: str | None
    resources: Resources
    device: str = "auto"
    workers: int | str = "auto"

    @property
    def threads(self) -> int:
        """Cores of one shard."""
        return self.resources.cpus

    def resolve(self) -> tuple[torch.device, Resources]:
        """Connect, and return where shards are computed and what each occupies.

        Raises:
            UserError: if the cluster cannot be reached, or has no machine for a shard.
        """
        connect(self.address)
        ours, gpus = self.resources, self.resources.gpus or 1.0
        on_gpu, on_cpu = ours.model_copy(update={"gpus": gpus}), ours.model_copy(update={"gpus": 0.0})
        if self.device == "auto" and not _fits(on_gpu):
            device, needed = "cpu", on_cpu
        else:
            device, needed = ("cpu", on_cpu) if self.device == "cpu" else ("cuda", on_gpu)
        require(needed, f"a shard on execution.device: {self.device}", "execution.shard_resources or execution.device")
        return torch.device(device), needed

    def run_shards(
        self, compute: Compute, wanted: Sequence[int], counter: Counter, *, doing: str, mend: str
    ) -> Iterator[Shard]:
        """Compute shards as tasks and yield each as ``(index, tensors)`` when it is finished, in any order.

        A shard whose worker is killed is computed again, up to four times in all. Nothing is written by a worker, so a
        shard comes once or not at all. The arguments are those of ``population.processes.run_shards``.

        Raises:
            UserError: if the cluster has no room for a shard, or a shard's worker dies every time.
        """
        _, needed = self.resolve()
        ray = import_ray()
        task = ray.remote(_compute).options(
            num_cpus=needed.cpus, num_gpus=needed.gpus or None, max_retries=TRIES - 1, name=f"shard: {doing}"
        )
        job = [ray.put(compute)]  # in a list: a bare reference would be read anew for every shard
        waiting, running = iter(wanted), list[Any]()
        try:
            while True:
                for index in waiting:
                    running.append(task.remote(job, index, needed.cpus))
                    if len(running) >= self._at_once(needed):
                        break
                if not running:
                    return
                finished, running = ray.wait(running, num_returns=1)
                for reference in finished:
                    index, tensors, steps = _result(reference, doing, mend)
                    counter.add(steps)
                    yield index, tensors
        finally:
            cancel(running)

    def _at_once(self, needed: Resources) -> int:
        """Shards that are with Ray at once: as asked for, or twice as many as there is room for now."""
        if isinstance(self.workers, int):
            return self.workers
        return QUEUED_PER_WORKER * max(1, sum(_room(machine, needed) for machine in machines()))


def _fits(needed: Resources) -> bool:
    return any(_room(machine, needed) for machine in machines())


def _room(machine: Resources, needed: Resources) -> int:
    by_cpus = machine.cpus // needed.cpus
    return min(by_cpus, int(machine.gpus / needed.gpus)) if needed.gpus else by_cpus


def _result(reference: Any, doing: str, mend: str) -> tuple[int, dict[str, torch.Tensor], int]:
    try:
        result: tuple[int, dict[str, torch.Tensor], int] = import_ray().get(reference)
    except Exception as error:
        raise translated(error, doing, mend) from error
    return result


_kept: dict[str, Compute] = {}


def _compute(job: list[Any], index: int, threads: int) -> tuple[int, dict[str, torch.Tensor], int]:
    """Compute one shard in a worker: its number, its tensors, and the steps that it took."""
    # Ray shares large arrays between workers, read-only; a job never writes to its own.
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    torch.set_num_threads(threads)
    (reference,) = job
    if reference.hex() not in _kept:
        _kept.clear()
        _kept[reference.hex()] = import_ray().get(reference)
    steps: list[int] = []
    try:
        tensors = _kept[reference.hex()](index, steps.append)
    except Exception as error:
        told = user_error(error)
        if isinstance(told, UserError):  # an exception's causes do not travel
            raise told from None
        raise
    return index, tensors, sum(steps)
