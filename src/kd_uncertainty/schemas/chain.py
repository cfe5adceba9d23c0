"""Tables of the chain from examples to the response budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas.columns import (
    ARM_COLUMNS,
    INTERVAL,
    SEED_COLUMNS,
    VALUE_METRICS,
    arm_columns,
    check,
    with_interval,
)


def examples(data: Any) -> None:
    """One row an example: inputs, target and split; classes also before label noise, and their known probabilities."""
    columns = {"example_id": "int", "split": "text", "inputs": "any"}
    if "label_flipped" in getattr(data, "columns", ()):
        columns |= {"target": "int", "source_target": "int", "label_flipped": "bool"}
    else:
        columns |= {"target": "float"}
    check("examples", data, columns)
    if data["example_id"].duplicated().any():
        raise UserError("table examples: an example_id is there twice")
    if "bayes_probabilities" in data and not _are_distributions(data["bayes_probabilities"]):
        raise UserError("table examples: a row of column 'bayes_probabilities' is no distribution over all classes")


def _are_distributions(rows: pd.Series[Any]) -> bool:
    """Whether rows are lists of one length, without negative numbers, and of sum 1."""
    lists = [np.asarray(row, dtype=np.float64) for row in rows]
    if not lists or len({values.shape for values in lists}) > 1:
        return not lists
    values = np.stack(lists)
    return bool((values >= 0.0).all() and np.allclose(values.sum(-1), 1.0, rtol=0.0, atol=1e-9))


def teacher_curves(data: Any) -> None:
    """One row a teacher, member and epoch."""
    of_classes = ("validation_nll", "validation_accuracy")
    curves = ("validation_mse",) if "validation_mse" in getattr(data, "columns", ()) else of_classes
    losses = dict.fromkeys(("train_loss", *curves), "float")
    check("teacher_curves", data, {"teacher": "text", "member": "int", "epoch": "int"} | losses)


def plan(data: Any) -> None:
    """One row a student: its arm and its three seeds."""
    check("plan", data, {"student": "int", **arm_columns(data), **dict.fromkeys(SEED_COLUMNS, "int")})


def student_curves(data: Any) -> None:
    """One row a student and epoch."""
    check("student_curves", data, {"student": "int", "epoch": "int", "train_loss": "float"})


def predictions(data: Any) -> None:
    """One row a student and example."""
    answer = {"prediction": "float"} if "prediction" in getattr(data, "columns", ()) else {"logits": "any"}
    check("predictions", data, {"student": "int", "example_id": "int", "split": "text", **answer})


def linear_students(data: Any) -> None:
    """One row a student in closed form: coefficients in order of features, then the intercept."""
    check("linear_students", data, {"student": "int", "parameters": "any"})


def teacher_metrics(data: Any) -> None:
    """One row a teacher, split and metric."""
    check("teacher_metrics", data, {"teacher": "text", "split": "text", "metric": "text", **INTERVAL})


def reliability(data: Any) -> None:
    """One row a model, split and confidence bin."""
    bins = {"bin_lower": "float", "bin_upper": "float", "confidence": "float", "accuracy": "float", "count": "int"}
    check("reliability", data, {"role": "text", "teacher": "text", "split": "text", **bins})


def student_metrics(data: Any) -> None:
    """One row a student and split."""
    of_classes = ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher")
    arm = arm_columns(data)
    metrics = dict.fromkeys(of_classes if arm is ARM_COLUMNS else VALUE_METRICS, "float")
    check("student_metrics", data, {"student": "int", **arm, "split": "text", **metrics})


def arm_metrics(data: Any) -> None:
    """One row an arm, split and metric."""
    check("arm_metrics", data, {**arm_columns(data), "split": "text", "metric": "text", **INTERVAL})


def schedule_gains(data: Any) -> None:
    """One row an arm that switches its loss, split and metric."""
    figures = with_interval("gain", "constant_gain", "recovered")
    labels = {**ARM_COLUMNS, "split": "text", "metric": "text"}
    check("schedule_gains", data, {**labels, **figures, "recoverable": "bool", "num_students": "int"})


def variance_components(data: Any) -> None:
    """One row an arm, split and component."""
    check("variance_components", data, {**arm_columns(data), "split": "text", "component": "text", **INTERVAL})


def response_budget(data: Any) -> None:
    """One row a teacher and target that was measured at several numbers of responses."""
    figures = ("response_variance", "floor", "slope", "threshold")
    check(
        "response_budget",
        data,
        {"teacher": "text", "target": "text", **dict.fromkeys(figures, "float"), "recommended_num_responses": "any"},
    )
