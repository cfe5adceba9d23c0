"""The tables' contracts: one function a table, used as catalog validators and in tests.

Each takes the table and raises ``UserError`` that says which column is wrong; extra columns are allowed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from kd_uncertainty.errors import UserError

ARM_KEYS = ("teacher", "target", "num_responses", "weighting", "mixing", "temperature")
"""What makes two students belong to the same arm."""
NO_TEACHER = "none"
"""The teacher of students that are trained on the data's own labels."""
FACTORS = ("response", "initialisation", "order")
"""The three independent sources of randomness of a student."""
SEED_COLUMNS = tuple(f"{factor}_seed" for factor in FACTORS)

_INTERVAL = {"estimate": "float", "lower": "float", "upper": "float"}
_ARM = {"arm": "int", "teacher": "text", "target": "text", "num_responses": "int", "weighting": "text"} | {
    "mixing": "float",
    "temperature": "float",
}

_CHECKS: dict[str, Callable[[Any], bool]] = {
    "int": pd.api.types.is_integer_dtype,
    "float": pd.api.types.is_float_dtype,
    "bool": pd.api.types.is_bool_dtype,
    "text": pd.api.types.is_string_dtype,
    "any": lambda _: True,
}


def _check(table: str, data: Any, columns: Mapping[str, str]) -> None:
    if not isinstance(data, pd.DataFrame):
        raise UserError(f"table {table}: a data frame is needed, got {type(data).__name__}")
    missing = [column for column in columns if column not in data.columns]
    if missing:
        raise UserError(
            f"table {table}: column '{missing[0]}' is missing (columns: {', '.join(map(str, data.columns))})"
        )
    for column, kind in columns.items():
        if not _CHECKS[kind](data[column].dtype) and len(data):
            raise UserError(f"table {table}: column '{column}' must hold {kind}, holds {data[column].dtype}")


def examples(data: Any) -> None:
    """One row an example: inputs, target and split."""
    _check(
        "examples",
        data,
        {"example_id": "int", "split": "text", "inputs": "any", "target": "int", "source_target": "int"}
        | {"label_flipped": "bool"},
    )
    if data["example_id"].duplicated().any():
        raise UserError("table examples: an example_id is there twice")


def teacher_curves(data: Any) -> None:
    """One row a teacher, member and epoch."""
    losses = {"train_loss": "float", "validation_nll": "float", "validation_accuracy": "float"}
    _check("teacher_curves", data, {"teacher": "text", "member": "int", "epoch": "int"} | losses)


def plan(data: Any) -> None:
    """One row a student: its arm and its three seeds."""
    _check("plan", data, {"student": "int", **_ARM, **dict.fromkeys(SEED_COLUMNS, "int")})


def student_curves(data: Any) -> None:
    """One row a student and epoch."""
    _check("student_curves", data, {"student": "int", "epoch": "int", "train_loss": "float"})


def predictions(data: Any) -> None:
    """One row a student and example."""
    _check("predictions", data, {"student": "int", "example_id": "int", "split": "text", "logits": "any"})


def teacher_metrics(data: Any) -> None:
    """One row a teacher, split and metric."""
    _check("teacher_metrics", data, {"teacher": "text", "split": "text", "metric": "text", **_INTERVAL})


def reliability(data: Any) -> None:
    """One row a model, split and confidence bin."""
    bins = {"bin_lower": "float", "bin_upper": "float", "confidence": "float", "accuracy": "float", "count": "int"}
    _check("reliability", data, {"role": "text", "teacher": "text", "split": "text", **bins})


def student_metrics(data: Any) -> None:
    """One row a student and split."""
    metrics = ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher")
    _check("student_metrics", data, {"student": "int", **_ARM, "split": "text", **dict.fromkeys(metrics, "float")})


def arm_metrics(data: Any) -> None:
    """One row an arm, split and metric."""
    _check("arm_metrics", data, {**_ARM, "split": "text", "metric": "text", **_INTERVAL})


def variance_components(data: Any) -> None:
    """One row an arm, split and component."""
    _check("variance_components", data, {**_ARM, "split": "text", "component": "text", **_INTERVAL})


def response_budget(data: Any) -> None:
    """One row a teacher and target that was measured at several numbers of responses."""
    figures = ("response_variance", "floor", "slope", "threshold")
    _check(
        "response_budget",
        data,
        {"teacher": "text", "target": "text", **dict.fromkeys(figures, "float"), "recommended_num_responses": "any"},
    )
