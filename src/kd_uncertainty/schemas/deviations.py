"""Tables of the deviations study (arXiv 2301.12923), and of the deviations of any study."""

from __future__ import annotations

from typing import Any

import pandas as pd

from kd_uncertainty.schemas.columns import INTERVAL, check, with_interval

_DEVIATIONS = {"teacher": "text", "split": "text", "statistic": "text", "group": "text", **INTERVAL}
_BINS = dict.fromkeys(("teacher_logit", "median", "lower_quartile", "upper_quartile"), "float")
_GAINS = {
    "split": "text",
    "statistic": "text",
    "group": "text",
    "gain_split": "text",
    "arms": "text",
    "correlation": "float",
    "num_arms": "int",
}


def deviations(data: Any) -> None:
    """One row an arm, split, statistic and group: students, controls, and their difference."""
    check("deviations", data, {**_DEVIATIONS, "standard_errors": "float", "num_students": "int"})


def deviation_bins(data: Any) -> None:
    """One row an arm, split, group and bin of the teacher's confidence."""
    check("deviation_bins", data, {"teacher": "text", "split": "text", "group": "text", "bin": "int", **_BINS})


def gains(data: Any) -> None:
    """One row a split and statistic: its rank correlation with the gain in accuracy over arms."""
    check("gains", data, {**_GAINS, "lower": "float", "upper": "float"})


def empty_deviations() -> tuple[pd.DataFrame, ...]:
    """The tables of deviations, bins and gains without a row, where there is nothing to compare with."""
    columns = ([*_DEVIATIONS, "standard_errors", "num_students"], ["teacher", "split", "group", "bin", *_BINS])
    return tuple(pd.DataFrame(columns=names) for names in (*columns, [*_GAINS, "lower", "upper"]))


def switching(data: Any) -> None:
    """One row a teacher, schedule, switch, split and metric."""
    keys = {"teacher": "text", "schedule": "text", "switch": "float", "split": "text", "metric": "text"}
    check("switching", data, {**keys, **INTERVAL, **with_interval("gain", "recovered"), "num_students": "int"})


def switching_teachers(data: Any) -> None:
    """One row a teacher, split and metric."""
    keys = {"teacher": "text", "epochs": "int", "split": "text", "metric": "text"}
    check("switching_teachers", data, {**keys, **INTERVAL})


_MODEL = {**dict.fromkeys(("task", "model", "descent", "start", "role"), "text"), "num_seeds": "int"}


def eigenspace_trajectories(data: Any) -> None:
    """One row a model, role, step and direction: how far it has come."""
    keys = {**_MODEL, "step": "int", "direction": "int", "eigenvalue": "float"}
    check("eigenspace_trajectories", data, {**keys, **with_interval("progress")})


def eigenspace_pairs(data: Any) -> None:
    """One row a model, role and record: how often the student is behind in the lower of two directions."""
    keys = {**_MODEL, "record_every": "int", "coarse": "text", "num_pairs": "int"}
    check("eigenspace_pairs", data, {**keys, **with_interval("share", "gap")})


_WORLD = {"signal": "text", "similarity": "float", "student_step": "int", "teacher": "text", "num_seeds": "int"}


def denoising_entries(data: Any) -> None:
    """One row a kind of world, student and teacher: entries of gradients, and which of them the teacher turns."""
    check("denoising_entries", data, {**_WORLD, **with_interval("destructive", "flip", "false_flip")})


def denoising_alignment(data: Any) -> None:
    """One row a kind of world, quantity, student and teacher: the cosine with the truth."""
    check("denoising_alignment", data, {**_WORLD, "quantity": "text", **with_interval("cosine", "gain")})
