"""Nodes of the students stage of a regression study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from kd_uncertainty.datasets.population import PendingPopulation
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import pending_population
from kd_uncertainty.population.shards import ShardStore
from kd_uncertainty.regression import linear
from kd_uncertainty.regression.job import ValueJob
from kd_uncertainty.regression.options import ValueStudentsOptions
from kd_uncertainty.regression.plan import make_value_plan
from kd_uncertainty.regression.predictions import value_prediction_tables
from kd_uncertainty.regression.responses import read_values
from kd_uncertainty.regression.teachers import Scale, scaled_responses, value_tensors


def make_plan(responses: pa.Table, examples: pd.DataFrame, students: ValueStudentsOptions) -> pd.DataFrame:
    """One row a student."""
    found = read_values(responses, value_tensors(examples).example_ids)
    return make_value_plan(students, found.num_draws)


def train_students(
    plan: pd.DataFrame,
    examples: pd.DataFrame,
    task: dict[str, Any],
    responses: pa.Table,
    students: ValueStudentsOptions,
    execution: ExecutionOptions,
) -> tuple[PendingPopulation, dict[str, Any]]:
    """The networks among the students, trained shard by shard while their dataset saves them, and how."""
    everything, train, scale = value_tensors(examples), value_tensors(examples, "train"), Scale.of(task)
    found = scaled_responses(read_values(responses, everything.example_ids).rows(train.example_ids), scale)
    job = ValueJob(
        plan=plan[plan["model"] == "network"],
        inputs=train.inputs.numpy(),
        labels=scale.scaled(train.targets).astype(np.float32)[:, None],
        soft_labels=found.draws,
        prediction_inputs=everything.inputs.numpy(),
        num_classes=1,
        network_class=students.network.class_path,
        network_arguments=students.network.arguments,
        training=students.training,
        backend=students.backend,
        shard_size=students.shard_size,
        means=found.means,
        whole_plan=plan,
    )
    pending, engine = pending_population(job, execution)
    return pending, engine | {"num_networks": len(job.plan), "num_students": len(plan)}


def fit_linear_students(
    plan: pd.DataFrame, examples: pd.DataFrame, task: dict[str, Any], responses: pa.Table
) -> pd.DataFrame:
    """The linear students, in closed form."""
    everything, train = value_tensors(examples), value_tensors(examples, "train")
    found = read_values(responses, everything.example_ids).rows(train.example_ids)
    maker = linear.value_targets(plan, found, train.targets, task["target_std"] ** 2)
    return linear.fit_linear_students(plan, train.inputs.double().numpy(), maker)


def collect_predictions(
    students: ShardStore, linear_students: pd.DataFrame, examples: pd.DataFrame, task: dict[str, Any]
) -> Iterator[pa.Table]:
    """All students' predictions in the units of the source: linear students first, then networks shard by shard."""
    rows = examples.sort_values("example_id")
    return value_prediction_tables(
        students,
        linear_students,
        value_tensors(examples).inputs.double().numpy(),
        rows["example_id"].to_numpy(),
        rows["split"].to_numpy(object),
        Scale.of(task),
    )
