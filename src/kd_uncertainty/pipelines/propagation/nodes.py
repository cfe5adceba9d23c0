"""Nodes of the propagation stage."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty import propagation as library
from kd_uncertainty.options import PropagationOptions, StudentsOptions
from kd_uncertainty.population.shards import ShardStore
from kd_uncertainty.population.tables import student_parameters
from kd_uncertainty.soft_labels import SoftLabels, Source, read_soft_labels
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.uncertainty import metrics, schedules, tables
from kd_uncertainty.uncertainty.predictions import read_arms

_INPUT_EXAMPLES = 5


def _soft_labels(responses: Source, examples: pd.DataFrame, task: dict[str, Any]) -> SoftLabels:
    example_ids = examples["example_id"].sort_values().to_numpy()
    return read_soft_labels(responses, example_ids, task["num_classes"])


def evaluate_teachers(
    responses: Source, examples: pd.DataFrame, task: dict[str, Any], propagation: PropagationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Quality and calibration of every teacher, measured on the responses that the students get."""
    return library.teacher_tables(
        _soft_labels(responses, examples, task),
        examples,
        bins=propagation.calibration_bins,
        confidence=propagation.confidence,
        num_bootstrap=propagation.num_bootstrap,
        seed=propagation.seed,
    )


def evaluate_students(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    responses: Source,
    examples: pd.DataFrame,
    task: dict[str, Any],
    propagation: PropagationOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Quality, calibration and fidelity of every student."""
    soft_labels = _soft_labels(responses, examples, task)
    return library.student_tables(
        read_arms(predictions, plan), soft_labels, examples, bins=propagation.calibration_bins
    )


def collect_reliability(teacher_reliability: pd.DataFrame, student_reliability: pd.DataFrame) -> pd.DataFrame:
    """Reliability of teachers and students in one table."""
    return pd.concat([teacher_reliability, student_reliability], ignore_index=True)


def summarise_arms(student_metrics: pd.DataFrame, plan: pd.DataFrame, propagation: PropagationOptions) -> pd.DataFrame:
    """Mean of each metric over an arm's students, with its interval."""
    return metrics.arm_metrics(student_metrics, plan, confidence=propagation.confidence)


def compare_schedules(
    student_metrics: pd.DataFrame, plan: pd.DataFrame, propagation: PropagationOptions
) -> pd.DataFrame:
    """What of a teacher's gain the arms recover whose loss switches on the way; nothing where none does."""
    return schedules.schedule_gains(student_metrics, plan, confidence=propagation.confidence)


def decompose_uncertainty(
    predictions: pd.DataFrame, plan: pd.DataFrame, propagation: PropagationOptions
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Where the uncertainty went, and how many responses are enough."""
    components = tables.variance_components(
        tables.from_predictions(predictions, plan),
        num_bootstrap=propagation.num_bootstrap,
        confidence=propagation.confidence,
        seed=propagation.seed,
    )
    budget = tables.response_budget(
        components, threshold=propagation.response_share_threshold, confidence=propagation.confidence
    )
    return components.table, budget


def select_best_student(
    student_metrics: pd.DataFrame,
    students: ShardStore,
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: StudentsOptions,
) -> dict[str, Any]:
    """The student with the lowest validation NLL, as its network and weights."""
    row = library.best_student(student_metrics)
    student = int(row["student"])
    return {
        "student": student,
        "class_path": options.network.class_path,
        "arguments": options.network.arguments,
        "num_inputs": task["num_inputs"],
        "num_classes": task["num_classes"],
        "classes": task["classes"],
        "validation_nll": float(row["nll"]),
        "validation_accuracy": float(row["accuracy"]),
        "arm": {key: row[key] for key in ("teacher", "target")} | {"num_responses": int(row["num_responses"])},
        "parameters": student_parameters(students, student),
        "input_example": example_tensors(examples, "validation").inputs[:_INPUT_EXAMPLES].numpy(),
    }
