"""Nodes of the students stage."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.cluster import ShardCluster
from kd_uncertainty.datasets.population import PendingPopulation
from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions, StudentsOptions
from kd_uncertainty.population import plan as plans
from kd_uncertainty.population import workers
from kd_uncertainty.population.initialisation import initialisation_kind
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.shards import ShardStore
from kd_uncertainty.population.tables import curve_table, prediction_tables
from kd_uncertainty.soft_labels import Source, num_draws, read_soft_labels
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.threads import available_cores

logger = logging.getLogger(__name__)


def make_plan(responses: Source, students: StudentsOptions) -> pd.DataFrame:
    """One row a student."""
    draws = num_draws(responses)
    points = [name for name, count in draws.items() if count == 1]
    if points and any(arm.target == "posterior" and arm.teachers is None for arm in students.arms):
        logger.info("posterior arms leave out %s: a single cached draw has no randomness", ", ".join(points))
    return plans.make_plan(students, draws)


def train_students(
    plan: pd.DataFrame,
    examples: pd.DataFrame,
    task: dict[str, Any],
    responses: Source,
    students: StudentsOptions,
    execution: ExecutionOptions,
) -> tuple[PendingPopulation, dict[str, Any]]:
    """The population, trained shard by shard while its dataset saves it, and how it is trained."""
    everything, train = example_tensors(examples), example_tensors(examples, "train")
    # All examples are checked, also those that no student is trained on: the analysis compares with the teacher there.
    soft_labels = read_soft_labels(responses, everything.example_ids, task["num_classes"]).rows(train.example_ids)
    job = PopulationJob(
        plan=plan,
        inputs=train.inputs.numpy(),
        labels=train.labels.numpy(),
        soft_labels=dict(soft_labels.logits),
        prediction_inputs=everything.inputs.numpy(),
        num_classes=task["num_classes"],
        network_class=students.network.class_path,
        network_arguments=students.network.arguments,
        training=students.training,
        backend=students.backend,
        shard_size=students.shard_size,
    )
    return pending_population(job, execution)


def pending_population(job: PopulationJob, execution: ExecutionOptions) -> tuple[PendingPopulation, dict[str, Any]]:
    """A population that is trained while its dataset saves it, and a record of how.

    Raises:
        UserError: before any work, if the network cannot be built or the responses do not suffice.
    """
    job.check()
    cluster = shard_cluster(execution)
    device = resolve_device(execution.device) if cluster is None else cluster.resolve()[0]
    backend, reason = job.choose_backend(device)
    logger.info("students: networks trained by the %s backend (%s)", backend, reason)
    train_shards = partial(
        workers.run,
        job,
        workers=num_workers(execution),
        device=device,
        chunk_size=execution.chunk_size,
        progress=execution.progress,
        cluster=cluster,
    )
    engine = {
        "backend": backend,
        "reason": reason,
        "initialisation": initialisation_kind(job.build)[0],
        "device": str(device),
        "num_students": len(job.plan),
    }
    return PendingPopulation(job.identity(backend), job.num_shards, train_shards), engine


def shard_cluster(execution: ExecutionOptions) -> ShardCluster | None:
    """The machines that shards are computed on; None for this one."""
    if execution.engine == "local":
        return None
    return ShardCluster(execution.cluster, execution.shard_resources, execution.device, execution.workers)


def num_workers(execution: ExecutionOptions) -> int:
    """Cores to use: as asked for, or all that this process may."""
    return available_cores() if execution.workers == "auto" else execution.workers


def collect_predictions(students: ShardStore, examples: pd.DataFrame) -> Iterator[pa.Table]:
    """All students' logits, a shard at a time."""
    rows = examples.sort_values("example_id")
    return prediction_tables(students, rows["example_id"].to_numpy(), rows["split"].to_numpy(object))


def collect_curves(students: ShardStore) -> pd.DataFrame:
    """All students' training losses."""
    return curve_table(students)
