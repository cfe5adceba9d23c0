"""What training a population will take, before it is trained: where, by what, how many at once, for how long."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import NamedTuple

import psutil
import torch

from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.memory import ChunkSize, Sizes, students_at_once

_TRIAL_EPOCHS = (1, 5)
_TRIAL_SECONDS = 0.5


class Forecast(NamedTuple):
    """What a population will use.

    Attributes:
        students: to be trained, all together.
        shards: units of work and of resumption.
        backend: that trains them.
        reason: why that one.
        at_once: students in a chunk.
        workers: processes or threads.
        seconds: estimate for all students; NaN without a trial.
        trial_students: how many were trained for the estimate.
    """

    students: int
    shards: int
    backend: str
    reason: str
    at_once: int
    workers: int
    seconds: float
    trial_students: int


def forecast(
    job: PopulationJob, device: torch.device, *, workers: int = 1, chunk_size: ChunkSize = "auto", trial: bool = True
) -> Forecast:
    """Say what a job will use, and estimate its time from training a few of its students for one and for five epochs.

    ``seconds = students / workers x (a + b x epochs)``, with a and b, of a student, from the two times. The trial has
    one thread, and as many students as half a second allows, at most a chunk. Writing shards and starting processes
    come on top.

    Args:
        job: the population. Its soft labels may hold any numbers: time does not depend on them.
        device: where to train.
        workers: cores to use.
        chunk_size: students at once, or "auto".
        trial: whether to estimate the time.

    Raises:
        UserError: if the job cannot be run.
    """
    job.check()
    backend, reason = job.choose_backend(device)
    sizes = Sizes(job.inputs.shape[1:], len(job.inputs), job.num_classes)
    at_once = min(students_at_once(chunk_size, job.build, sizes, job.training, device), len(job.plan))
    workers = 1 if device.type != "cpu" else min(workers, job.num_shards if backend != "native" else workers)
    seconds, trained = _per_student(job, backend, device, at_once) if trial else (float("nan"), 0)
    whole = seconds * len(job.plan) / workers
    return Forecast(len(job.plan), job.num_shards, backend, reason, at_once, workers, whole, trained)


def _per_student(job: PopulationJob, backend: str, device: torch.device, at_once: int) -> tuple[float, int]:
    """Seconds of a student with one thread, and the number of students of the trial."""
    most = min(at_once, len(job.plan))
    _seconds(job, backend, device, 1, 1)  # what is compiled or loaded once
    count, first = 1, _seconds(job, backend, device, 1, 1)
    while count < most and first < _TRIAL_SECONDS / 2:
        count = min(most, 4 * count)
        first = _seconds(job, backend, device, count, _TRIAL_EPOCHS[0])
    second = _seconds(job, backend, device, count, _TRIAL_EPOCHS[1])
    slope = max(second - first, 0.0) / (_TRIAL_EPOCHS[1] - _TRIAL_EPOCHS[0])
    start = max(first - slope * _TRIAL_EPOCHS[0], 0.0)
    return (start + slope * job.training.epochs) / count, count


def _seconds(job: PopulationJob, backend: str, device: torch.device, count: int, epochs: int) -> float:
    """Time of the first students of the plan, with a constant learning rate and loss, which cost the same."""
    plain = {"epochs": epochs, "schedule": "constant", "milestones": (), "warmup_epochs": 0}
    rows = job.plan.head(count)
    rows = rows.assign(schedule="constant") if "schedule" in rows else rows
    trial = replace(job, plan=rows, training=job.training.model_copy(update=plain), shard_size=count)
    start = time.perf_counter()
    trial.train_shard(0, backend, device, count, None, 1)
    return time.perf_counter() - start


def free_memory(device: torch.device) -> tuple[int, int | None]:
    """Return the free bytes of the host, and of the GPU if the device is one."""
    host = int(psutil.virtual_memory().available)
    return host, torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else None
