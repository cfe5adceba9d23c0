"""Nodes of the teachers stage."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions, TeachersOptions
from kd_uncertainty.report.figures import portable, training_curves
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.teachers import collection
from kd_uncertainty.teachers.contract import Problem


def fit_teachers(
    examples: pd.DataFrame, task: dict[str, Any], teachers: TeachersOptions, execution: ExecutionOptions
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit all posteriors on the training split."""
    train, validation = example_tensors(examples, "train"), example_tensors(examples, "validation")
    problem = Problem(
        inputs=train.inputs,
        labels=train.labels,
        validation_inputs=validation.inputs,
        validation_labels=validation.labels,
        num_classes=task["num_classes"],
        network=teachers.network,
        training=teachers.training,
        device=resolve_device(execution.device),
        chunk_size=execution.chunk_size,
        example_ids=train.example_ids,
    )
    fitted, curves = collection.fit_teachers(problem, teachers.posteriors, teachers.seed, progress=execution.progress)
    return collection.to_nested(fitted), curves


def plot_teacher_curves(teacher_curves: pd.DataFrame) -> Figure:
    """Draw loss by epoch."""
    return portable(training_curves(teacher_curves, pd.DataFrame(), pd.DataFrame()))
