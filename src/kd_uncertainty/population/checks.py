"""What fits together in a cohort and its data, checked before a backend that trusts it."""

from __future__ import annotations

import torch
from torch import Tensor

from kd_uncertainty.population.contract import Cohort

MOST_EXAMPLES = 2**31 - 1
"""Positions of examples are held in 32 bits."""


def check_cohort(inputs: Tensor, labels: Tensor, cohort: Cohort) -> None:
    """Check shapes, types and ranges, so that nothing is broadcast or read by accident.

    Args:
        inputs: (examples, ...).
        labels: (examples,) integers, or (examples, outputs) real numbers for the loss "mse".
        cohort: the students.

    Raises:
        ValueError: if there are no examples or too many, or anything does not fit.
    """
    students, examples, outputs = len(cohort), len(inputs), cohort.targets.shape[-1]
    if not 0 < examples <= MOST_EXAMPLES:
        raise ValueError(f"there are {examples} training examples and need to be from 1 to {MOST_EXAMPLES}")
    shapes = {
        "labels": (labels, (examples, outputs) if cohort.loss == "mse" else (examples,)),
        "targets": (cohort.targets, (len(cohort.targets), examples, outputs)),
        "tables": (cohort.table_index, (students,)),
        "mixing": (cohort.mixing, (students,)),
        "temperature": (cohort.temperature, (students,)),
        "switch_step": (cohort.switch_step, (students,)),
        "mixing_after": (cohort.mixing_after, (students,)),
    }
    for name, (values, shape) in shapes.items():
        if values is not None and tuple(values.shape) != shape:
            raise ValueError(f"{name} are of shape {tuple(values.shape)} and need {shape}")
    if cohort.loss == "distillation":
        _check_range("labels", labels, outputs)
    _check_range("tables", cohort.table_index, len(cohort.targets))


def _check_range(name: str, values: Tensor, count: int) -> None:
    if values.is_floating_point() or values.dtype == torch.bool:
        raise ValueError(f"{name} are {values.dtype} and need to be integers")
    if not bool(((values >= 0) & (values < count)).all()):
        raise ValueError(f"{name} need to be from 0 to {count - 1}")
