"""Nodes and shards that die, fail, add or look around, in a module that workers can import."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch

from kd_uncertainty.errors import UserError


def note(folder: Path, name: str) -> int:
    """Write down one more attempt, and say the how manyeth it is."""
    attempts = sorted(folder.glob(f"{name}.*"))
    (folder / f"{name}.{len(attempts)}").touch()
    return len(attempts) + 1


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def squares(folder: Path, dies: int, times: int, index: int, on_progress):
    """A shard of three squares; shard ``dies`` kills its worker the first ``times`` times, in the middle."""
    on_progress(1)
    if index == dies and note(folder, "shard") <= times:
        die()
    on_progress(2)
    return {"values": torch.arange(3.0).add(3 * index).square(), "students": torch.arange(3) + 3 * index}


def refuse(index: int, on_progress):
    try:
        raise KeyError("inner")
    except KeyError as error:
        raise UserError(f"shard {index} cannot be computed; mend it") from error


def wait_for_ever(folder: Path, index: int, on_progress):
    if index == 0:
        return {"students": torch.zeros(1)}
    note(folder, "waits")
    time.sleep(600)
    return {}


def double(value):
    return 2 * value


def add(left, right):
    return left + right


def add_in_the_end(left, right, folder):
    """Add, but kill the worker at the first attempt."""
    if note(Path(folder), "node") == 1:
        die()
    return left + right


def always_die(value):
    die()


def complain(value):
    raise UserError(f"{value} cannot be used; take another")


def divide_by_zero(value):
    return value / 0


def seen(folder):
    """What is visible to a task, and with how many others it ran."""
    Path(folder, str(os.getpid())).touch()
    deadline = time.monotonic() + 20
    while len(list(Path(folder).iterdir())) < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    return os.environ.get("CUDA_VISIBLE_DEVICES"), len(list(Path(folder).iterdir()))


def unshared(value):
    return os.environ.get("CUDA_VISIBLE_DEVICES")


def shard(index, on_progress):
    return {"students": torch.tensor([index])}


def dispatch(visible):
    """Shards from within a task that itself occupies the only core; also what the task before saw."""
    from tqdm import tqdm

    from kd_uncertainty.cluster import Resources, ShardCluster
    from kd_uncertainty.population.processes import Counter

    cluster = ShardCluster(None, Resources(gpus=0.5), "cuda")
    shards = cluster.run_shards(shard, [0, 1, 2], Counter(tqdm(disable=True)), doing="", mend="")
    return visible, sorted(index for index, _ in shards)
