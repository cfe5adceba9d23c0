"""What fits together in a cohort and its data, checked before a backend that trusts it."""

from __future__ import annotations

import torch
from torch import Tensor

from kd_uncertainty.population.contract import Cohort, State

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
    if cohort.rows is not None:
        _check_rows(cohort.rows, students, examples)


def check_initial(initial: State, expected: State, students: int) -> None:
    """Check the parameters and buffers to start from.

    Args:
        initial: what is given, stacked (students, ...), by name.
        expected: those of one network.
        students: how many there are.

    Raises:
        ValueError: if names or shapes are others.
    """
    if missing := sorted(expected.keys() - initial.keys()):
        raise ValueError(f"the initial parameters lack {', '.join(missing)}, which the network has")
    if unknown := sorted(initial.keys() - expected.keys()):
        raise ValueError(f"the initial parameters have {', '.join(unknown)}, which the network has not")
    for name, values in expected.items():
        found, shape = tuple(initial[name].shape), (students, *values.shape)
        if found != shape:
            raise ValueError(f"the initial {name} is of shape {found} and needs {shape}")


def check_epochs(cohort: Cohort, epochs: int) -> None:
    """Check that rows that differ from epoch to epoch are there for all of them.

    Raises:
        ValueError: if there are fewer or more.
    """
    if cohort.rows is not None and cohort.rows.dim() == 3 and cohort.rows.shape[1] != epochs:
        raise ValueError(f"rows are of {cohort.rows.shape[1]} epochs and need to be of {epochs}")


def check_validation(inputs: Tensor, truth: Tensor, cohort: Cohort) -> None:
    """Check what students are evaluated on, so that nothing is broadcast.

    Args:
        inputs: (examples, ...).
        truth: (examples,) labels, or (examples, outputs) values for the loss "mse".
        cohort: the students.

    Raises:
        ValueError: if it does not fit.
    """
    outputs, mse = cohort.targets.shape[-1], cohort.loss == "mse"
    shape = (len(inputs), outputs) if mse else (len(inputs),)
    if tuple(truth.shape) != shape:
        name = "values" if mse else "labels"
        raise ValueError(f"validation {name} are of shape {tuple(truth.shape)} and need {shape}")
    if not mse:
        _check_range("validation labels", truth, outputs)


def _check_rows(rows: Tensor, students: int, examples: int) -> None:
    if rows.dim() not in (2, 3) or len(rows) != students or not 0 < rows.shape[-1] <= MOST_EXAMPLES:
        raise ValueError(
            f"rows are of shape {tuple(rows.shape)} and need ({students}, m) or ({students}, epochs, m), m from 1 on"
        )
    if rows.dtype != torch.int64:
        raise ValueError(f"rows are {rows.dtype} and need to be torch.int64")
    _check_range("rows", rows, examples)


def _check_range(name: str, values: Tensor, count: int) -> None:
    if values.is_floating_point() or values.dtype == torch.bool:
        raise ValueError(f"{name} are {values.dtype} and need to be integers")
    if not bool(((values >= 0) & (values < count)).all()):
        raise ValueError(f"{name} need to be from 0 to {count - 1}")
