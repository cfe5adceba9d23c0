"""``kedro device``: what a run will use before it starts, read off the configuration and the source table alone."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import Parameters, RegressionStudyOptions, StudyOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.population.forecast import Forecast, forecast, free_memory
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.native import library
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.regression.job import ValueJob
from kd_uncertainty.regression.plan import make_value_plan
from kd_uncertainty.regression.teachers import value_tensors
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.tasks.regression import prepare_regression
from kd_uncertainty.tasks.tables import prepare_task

POPULATIONS = ("classification", "regression")
"""Studies with a population of one plan; the experiments of others train many small ones."""


def device_facts(parameters: Parameters) -> dict[str, str]:
    """Return what a run will use, in words: device, cores, free memory, precision of the studies' students.

    Raises:
        UserError: if the device that the parameters ask for is not there.
    """
    execution = parameters.execution
    device = resolve_device(execution.device)
    host, gpu = free_memory(device)
    facts = {"device": f"{device} (execution.device: {execution.device})"}
    if device.type == "cuda":
        facts |= {"GPU": torch.cuda.get_device_name(device), "free GPU memory": gib(gpu or 0)}
    precisions = {getattr(parameters, study).students.training.precision for study in POPULATIONS}
    return facts | {
        "workers": f"{num_workers(execution)} (execution.workers: {execution.workers})",
        "compiled kernel": library.obstacle() or library.instruction_set(),
        "free memory": gib(host),
        "precision": ", ".join(sorted(precisions)),
        "torch": torch.__version__,
    }


def forecast_study(study: str, parameters: Parameters, source: Any, *, trial: bool = True) -> Forecast:
    """Return what the students of a study will take, with soft labels of zeros in the teachers' place.

    Args:
        study: of ``POPULATIONS``.
        parameters: all of them.
        source: the study's table.
        trial: whether to train a few students for an estimate of the time.

    Raises:
        UserError: if the table, the plan or the network cannot be used.
    """
    options, execution = getattr(parameters, study), parameters.execution
    job = _value_job(options, source) if study == "regression" else _class_job(options, source)
    device = resolve_device(execution.device)
    return forecast(job, device, workers=num_workers(execution), chunk_size=execution.chunk_size, trial=trial)


def _class_job(options: StudyOptions, source: Any) -> PopulationJob:
    examples, task = prepare_task(source, options.ingestion)
    everything, train = example_tensors(examples), example_tensors(examples, "train")
    draws = _draws(options)
    classes = task["num_classes"]
    labels = {name: _zeros(len(train.example_ids), count, classes) for name, count in draws.items()}
    students = options.students
    return PopulationJob(
        plan=make_plan(students, draws),
        inputs=train.inputs.numpy(),
        labels=train.labels.numpy(),
        soft_labels=labels,
        prediction_inputs=everything.inputs.numpy(),
        num_classes=classes,
        network_class=students.network.class_path,
        network_arguments=students.network.arguments,
        training=students.training,
        backend=students.backend,
        shard_size=students.shard_size,
    )


def _value_job(options: RegressionStudyOptions, source: Any) -> ValueJob:
    examples, _ = prepare_regression(source, options.ingestion)
    everything, train = value_tensors(examples), value_tensors(examples, "train")
    count, draws, students = len(train.example_ids), _draws(options), options.students
    plan = make_value_plan(students, draws)
    return ValueJob(
        plan=plan[plan["model"] == "network"],
        inputs=train.inputs.numpy(),
        labels=np.zeros((count, 1), dtype=np.float32),
        soft_labels={name: np.zeros((count, number)) for name, number in draws.items()},
        prediction_inputs=everything.inputs.numpy(),
        num_classes=1,
        network_class=students.network.class_path,
        network_arguments=students.network.arguments,
        training=students.training,
        backend=students.backend,
        shard_size=students.shard_size,
        means={name: np.zeros(count) for name in draws},
        whole_plan=plan,
    )


def _draws(options: StudyOptions | RegressionStudyOptions) -> dict[str, int]:
    posteriors = options.teachers.posteriors
    return {name: teacher.cached_draws(options.responses.num_draws) for name, teacher in posteriors.items()}


def _zeros(examples: int, draws: int, classes: int) -> Any:
    """Zeros of the soft labels' shape that take no memory."""
    return np.broadcast_to(np.float32(0.0), (examples, draws, classes))


def show(facts: Mapping[str, str], forecasts: Mapping[str, Forecast], console: Console) -> None:
    """Print what was found out."""
    for name, fact in facts.items():
        console.print(f"{name + ':':<21}{fact}", highlight=False)
    table = Table(title="Students", title_justify="left")
    for column in ("study", "students", "shards", "backend", "at once", "workers", "estimate"):
        table.add_column(column, justify="left" if column in ("study", "backend") else "right")
    for study, found in forecasts.items():
        table.add_row(
            study,
            f"{found.students:,}",
            f"{found.shards:,}",
            found.backend,
            f"{found.at_once:,}",
            str(found.workers),
            duration(found.seconds),
        )
    console.print(table)
    for study, found in forecasts.items():
        console.print(f"{study}: {found.backend}, {found.reason}", highlight=False)
    console.print(
        "The estimate is for training the students alone, from a short trial of a few; teachers, analysis and report "
        "come on top. A killed run goes on from the last complete shard.",
        highlight=False,
    )


def gib(size: int) -> str:
    """``12.3 GiB``."""
    return f"{size / 2**30:.3g} GiB"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 min`` or ``3.5 h``; nothing for what is not known."""
    if math.isnan(seconds):
        return "–"
    if seconds < 90:
        return f"{seconds:.2g} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
