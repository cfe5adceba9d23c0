"""What a node occupies while it runs: by its tags, or by what it is given."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from kd_uncertainty.cluster import SHARDS, Resources
from kd_uncertainty.errors import UserError
from kd_uncertainty.options import ExecutionOptions

_TAG = re.compile(r"(cpus|gpus?)(?:-(.+))?")


def needs(tags: Collection[str], reads_execution: bool, execution: ExecutionOptions, largest: Resources) -> Resources:
    """What a node occupies.

    That of its tags, if any: those in ``execution.resources``, and ``cpus-4``, ``gpu`` (one) and ``gpus-0.5``, which a
    pipeline may give its nodes (Kedro allows no other signs in a tag). A tag of the configuration replaces those of the
    pipeline; of several the largest numbers count.

    Of the others, a node that takes ``params:execution`` may use ``execution.workers`` cores and, unless
    ``execution.device`` is "cpu", a GPU; all others, and a node that hands shards to the cluster, use one core.

    Args:
        tags: the node's.
        reads_execution: whether the node takes ``params:execution``.
        execution: as configured.
        largest: what the cluster's largest machine has.

    Raises:
        UserError: if a tag names no number.
    """
    configured = [execution.resources[tag] for tag in sorted(tags) if tag in execution.resources]
    stated = configured or _of_tags(tags)
    if stated:
        return Resources(cpus=max(one.cpus for one in stated), gpus=max(one.gpus for one in stated))
    if not reads_execution or (SHARDS in tags and execution.engine == "ray"):
        return Resources()
    cpus = largest.cpus if execution.workers == "auto" else min(execution.workers, largest.cpus)
    wants_gpu = execution.device == "cuda" or (execution.device == "auto" and largest.gpus >= 1)
    return Resources(cpus=cpus, gpus=float(wants_gpu))


def _of_tags(tags: Collection[str]) -> list[Resources]:
    found = [(tag, match) for tag in sorted(tags) if (match := _TAG.fullmatch(tag))]
    return [_of_tag(tag, {match[1].rstrip("s") + "s": match[2] or "1"}) for tag, match in found]


def _of_tag(tag: str, values: Mapping[str, str]) -> Resources:
    try:
        return Resources.model_validate(values)
    except ValueError as error:
        raise UserError(
            f"node tag '{tag}' must end in a number of cores or GPUs, such as cpus-4 or gpus-0.5"
        ) from error
