"""Nodes of the teachers stage of a regression study."""

from __future__ import annotations

from typing import Any

import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions, TeachersOptions
from kd_uncertainty.regression.teachers import Scale, value_tensors
from kd_uncertainty.teachers import collection
from kd_uncertainty.teachers.contract import Problem


def fit_teachers(
    examples: pd.DataFrame, task: dict[str, Any], teachers: TeachersOptions, execution: ExecutionOptions
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit all posteriors on the training split, targets scaled to mean 0 and variance 1."""
    train, validation, scale = value_tensors(examples, "train"), value_tensors(examples, "validation"), Scale.of(task)

    def column(targets: NDArray[Any]) -> Tensor:
        return torch.from_numpy(scale.scaled(targets)).float()[:, None]

    problem = Problem(
        inputs=train.inputs,
        labels=column(train.targets),
        validation_inputs=validation.inputs,
        validation_labels=column(validation.targets),
        num_classes=1,
        network=teachers.network,
        training=teachers.training,
        device=resolve_device(execution.device),
        chunk_size=execution.chunk_size,
        example_ids=train.example_ids,
        loss="mse",
    )
    fitted, curves = collection.fit_teachers(problem, teachers.posteriors, teachers.seed, progress=execution.progress)
    return collection.to_nested(fitted), curves
