"""Reaching a Ray cluster, or starting one on this machine, and what its machines have."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.errors import UserError
from kd_uncertainty.threads import available_cores

TRIES = 4
"""How often a task runs in all if its worker process dies again and again."""
_SECONDS_TO_ANSWER = 5.0
_CANCELLATIONS = 10


def import_ray() -> ModuleType:
    """Return the library.

    Raises:
        UserError: if it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise UserError(
            "Ray is not installed, which execution.engine: ray and RayRunner need; install it with `make ray`, or "
            "pip install 'kd-uncertainty[ray]'"
        ) from error
    module: ModuleType = ray
    return module


def connect(address: str | None) -> ModuleType:
    """Connect this process to a cluster unless it is connected already, and return the library.

    The connection lasts as long as the process, and so does a cluster that is started here.

    Args:
        address: ``host:port`` of a running cluster, or "auto" for that of this machine. None starts one on this machine
            with the cores that this process may use, unless the environment variable RAY_ADDRESS names another.

    Raises:
        UserError: if Ray is not installed, or no cluster answers there.
    """
    ray = import_ray()
    if ray.is_initialized():
        return ray
    address = address or os.environ.get("RAY_ADDRESS")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if address is None:
        cores = available_cores()
        ray.init("local", num_cpus=cores, include_dashboard=False, logging_level=logging.WARNING)
        return ray
    if address != "auto":
        _require_answer(address)  # Ray itself would try for two minutes, then end the process
    try:
        ray.init(address, logging_level=logging.WARNING)
    except Exception as error:  # whatever Ray's reason is, the address is what can be changed
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"the Ray cluster at execution.cluster: {address} cannot be used ({reason}); if it was started with "
            "tokens, which is Ray's default, set the environment variable RAY_AUTH_MODE=token"
        ) from error
    return ray


def _require_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if not (host and port.isdigit()) or "/" in host:
        raise UserError(f"execution.cluster must be host:port, as `ray start --head` prints it, not '{address}'")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"no Ray cluster answers at execution.cluster: {address} ({error}); start one with `ray start --head`, or "
            "leave execution.cluster out to use this machine"
        ) from error


def cancel(references: Sequence[Any]) -> None:
    """End tasks and their workers.

    Ray may take the end of a worker for an accident and run its task again, so this goes on until none is left.
    """
    ray, left = import_ray(), list(references)
    for _ in range(_CANCELLATIONS):
        if not left:
            return
        for reference in left:
            ray.cancel(reference, force=True)
        _, left = ray.wait(left, num_returns=len(left), timeout=1.0)


def machines() -> list[Resources]:
    """What each machine of the cluster has, occupied or not; those without a core take no work and are left out."""
    nodes = [node["Resources"] for node in import_ray().nodes() if node["Alive"]]
    return [
        Resources(cpus=int(node["CPU"]), gpus=float(int(node.get("GPU", 0))))
        for node in nodes
        if node.get("CPU", 0) >= 1
    ]


def require(needed: Resources, what: str, mend: str) -> None:
    """Check that one of the cluster's machines has what a task needs: Ray would wait for such a machine for ever.

    Args:
        needed: by the task.
        what: asks for it: "a shard of students".
        mend: which settings to lower.

    Raises:
        UserError: if none has.
    """
    there = machines()
    if any(machine.cpus >= needed.cpus and machine.gpus >= needed.gpus for machine in there):
        return
    largest = max(there, key=lambda machine: (machine.gpus, machine.cpus), default="none")
    raise UserError(
        f"{what} asks for {needed} on one machine, but no machine of the Ray cluster has that (the largest of "
        f"{len(there)}: {largest}); lower {mend}, or add a machine that has it"
    )
