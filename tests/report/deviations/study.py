"""A synthetic deviations study with known figures, so that every verdict is known beforehand."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
import pandas as pd

from ..regression.study import scale

TEACHERS = ("interpolating", "early_stopped")
STUDENTS = ("self", "smaller", "larger")
TEMPERATURES = (1.0, 4.0)
SPLITS = ("train", "validation", "test")
SHARES = ("low_decile_below", "high_decile_above", "high_decile_below", "accuracy")
SWITCHES = (0.25, 0.5, 0.75)
RATE = 0.05
"""Learning rate in 1 / l1."""
EIGENVALUES = (1.0, 0.4, 0.2, 0.1)
STOPS = (200, 1000)
SIMILARITIES = (0.0, 0.8)
TEACHER_STEPS = (1, 10, 100, 1000)
Tables = dict[str, pd.DataFrame]

__all__ = ["make_tables", "scale"]


def spread(row: dict[str, Any], room: float, **figures: float) -> dict[str, Any]:
    """The row with each figure and bounds that far away; NaN figures have NaN bounds."""
    for name, value in figures.items():
        row = row | {name: value, f"{name}_lower": value - room, f"{name}_upper": value + room}
    return row


def bounded(row: dict[str, Any], value: float, room: float) -> dict[str, Any]:
    return row | {"estimate": value, "lower": value - room, "upper": value + room}


def student_figures(teacher: str, student: str, temperature: float, split: str) -> dict[str, float]:
    """What students of an arm show: exaggeration with an interpolating teacher, on training points, when hot."""
    exaggerates = teacher == "interpolating" and split == "train"
    more = (0.1 * temperature + 0.01 * STUDENTS.index(student)) if exaggerates else 0.0
    accuracy = {"interpolating": 0.87, "early_stopped": 0.97}[teacher] - (0.02 if split == "validation" else 0.0)
    return {
        "slope": 1.0 + more / 2.0,
        "slope_low_quartile": 1.0 + more,
        "slope_high_quartile": 1.0,
        "low_decile_below": 0.9 if exaggerates else 0.5,
        "high_decile_above": 0.5,
        "high_decile_below": 0.5,
        "median_shift_low": -more,
        "median_shift_high": 0.0,
        "accuracy": accuracy + 0.001 * temperature,
    }


def control_figures(split: str) -> dict[str, float]:
    """A network that never saw the teacher: on test points its own slope is above 1."""
    slope = 1.2 if split == "test" else 0.95
    figures = dict.fromkeys(student_figures("interpolating", "self", 1.0, "test"), 0.45)
    return figures | {"slope": slope, "slope_low_quartile": slope, "accuracy": 0.85}


def deviations() -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for teacher in TEACHERS:
        for student in STUDENTS:
            for temperature in TEMPERATURES:
                for split in SPLITS:
                    keys = {"teacher": teacher, "student": student, "temperature": temperature, "split": split}
                    rows += _arm(keys)
    return pd.DataFrame(rows)


def _arm(keys: dict[str, Any]) -> list[dict[str, Any]]:
    rows = []
    own, beside = student_figures(**keys), control_figures(keys["split"])
    controls = {"": beside}
    if keys["teacher"] == "early_stopped":
        controls = {"": {**beside, "slope_low_quartile": 3.0}, "stopped_": {**own, "slope_low_quartile": 1.02}}
    for statistic, value in own.items():
        key = {**keys, "statistic": statistic, "standard_errors": math.nan, "num_students": 8}
        rows.append(bounded(key | {"group": "student"}, value, 0.01))
        for prefix, figures in controls.items():
            gap = value - figures[statistic]
            rows.append(bounded(key | {"group": f"{prefix}control"}, figures[statistic], 0.01))
            difference = key | {"group": f"{prefix}difference", "standard_errors": gap / 0.005}
            rows.append(bounded(difference, gap, 0.01))
    accuracy = {**keys, "statistic": "accuracy", "group": "teacher", "standard_errors": math.nan, "num_students": 8}
    return [*rows, bounded(accuracy, 0.86, 0.01)]


def deviation_bins() -> pd.DataFrame:
    rows = []
    for teacher in TEACHERS:
        for temperature in TEMPERATURES:
            for split in SPLITS:
                groups = {"student": -1.0, "control": 0.5}
                groups |= {"stopped_control": 0.0} if teacher == "early_stopped" else {}
                for group, shift in groups.items():
                    for number in range(10):
                        x = 1.0 + number
                        key = {"teacher": teacher, "student": "self", "temperature": temperature, "split": split}
                        key |= {"group": group, "bin": number, "teacher_logit": x, "median": x + shift / (1 + number)}
                        key |= {"lower_quartile": key["median"] - 0.5, "upper_quartile": key["median"] + 0.25}
                        rows.append(key | {"count": 80})
    return pd.DataFrame(rows)


def gains() -> pd.DataFrame:
    rows = []
    for arms, count in (("all", 12), ("interpolating", 6), ("early_stopped", 6)):
        for split in SPLITS:
            for statistic in ("slope", "slope_low_quartile", "low_decile_below"):
                for group in ("student", "difference"):
                    key = {"arms": arms, "split": split, "statistic": statistic, "group": group, "gain_split": "test"}
                    rho = 0.7 if split == "train" else -0.2
                    rows.append(key | {"correlation": rho, "lower": rho - 0.2, "upper": rho + 0.2, "num_arms": count})
    return pd.DataFrame(rows)


def shares() -> dict[tuple[str, float], float]:
    """The share of distillation's gain by schedule and switch, of the early-stopped teacher."""
    found = {("one_hot", math.nan): 0.0, ("distillation", math.nan): 1.0, ("equal_progress", 0.3): 0.6}
    found |= {("to_distillation", switch): 1.0 - 0.2 * switch for switch in SWITCHES}
    return found | {("to_one_hot", switch): 0.4 * switch for switch in SWITCHES}


def switching() -> pd.DataFrame:
    rows = []
    for teacher in TEACHERS:
        full = {"accuracy": 0.06, "nll": 0.2} if teacher == "interpolating" else {"accuracy": 0.12, "nll": 0.3}
        for (schedule, switch), share in shares().items():
            kept = share + 0.3 if (teacher, schedule) == ("interpolating", "to_one_hot") else share
            for split in SPLITS:
                for metric, gain in full.items():
                    own = gain * kept
                    row = {"teacher": teacher, "schedule": schedule, "switch": switch, "split": split, "metric": metric}
                    row = bounded(row, 0.82 + own if metric == "accuracy" else 0.7 - own, 0.005)
                    row = spread(spread(row, 0.004, gain=own), 0.05, recovered=kept)
                    rows.append(row | {"recoverable": True, "num_students": 16})
    return pd.DataFrame(rows)


def switching_teachers() -> pd.DataFrame:
    rows = []
    for teacher, epochs in zip(TEACHERS, (48, 11), strict=True):
        for split in SPLITS:
            row = {"teacher": teacher, "epochs": epochs, "split": split, "metric": "accuracy"}
            rows.append(bounded(row, 1.0 if (teacher, split) == ("interpolating", "train") else 0.8, 0.02))
    return pd.DataFrame(rows)


def eigenspace_trajectories() -> pd.DataFrame:
    rows = []
    for model, start in (("linear_squared", "zero"), ("mlp", "own")):
        for stop in STOPS:
            for role in ("teacher", "student", *(("control",) if model == "mlp" else ())):
                for step in (0, 1, 3, 10, 30, 100, 200):
                    for direction, eigenvalue in enumerate(EIGENVALUES, start=1):
                        value = 1.0 - (1.0 - RATE * eigenvalue) ** step
                        value /= 1.0 if role == "student" else 1.0 - (1.0 - RATE * eigenvalue) ** stop
                        key = {"task": "gaussian", "model": model, "descent": "plain", "start": start}
                        key |= {"teacher_stop": stop, "role": role, "step": step, "direction": direction}
                        rows.append(spread(key | {"eigenvalue": eigenvalue, "num_seeds": 8}, 0.001, progress=value))
    return pd.DataFrame(rows)


def settings() -> list[dict[str, Any]]:
    found = [
        {"task": task, "model": model, "descent": "plain", "start": start, "teacher_stop": stop}
        for task in ("gaussian", "given")
        for model, start in (
            ("linear_squared", "zero"),
            ("linear_cross_entropy", "zero"),
            ("random_features", "zero"),
            ("mlp", "own"),
            ("mlp", "shared"),
        )
        for stop in STOPS
    ]
    momentum = {"task": "gaussian", "model": "linear_squared", "descent": "momentum", "start": "zero"}
    return [*found, {**momentum, "teacher_stop": 100}]


def eigenspace_pairs() -> pd.DataFrame:
    expected = {"linear_squared": 1.0, "linear_cross_entropy": 0.9, "random_features": 0.9, "mlp": 0.7}
    rows = []
    for key in settings():
        share = 0.9 if key["descent"] == "momentum" else expected[key["model"]]
        for every, coarse in ((1, "neither"), (100, "both"), (100, "student")):
            roles = {"student": share - (0.3 if coarse == "student" else 0.0)}
            if key["start"] == "own":
                roles |= {"control": roles["student"] - 0.2, "difference": 0.2}
            for role, value in roles.items():
                row = {**key, "role": role, "record_every": every, "coarse": coarse, "undecided": 0.0}
                row |= {"num_pairs": 45, "num_levels": 19, "num_seeds": 8}
                rows.append(spread(row, 0.0 if value == 1.0 else 0.02, share=value, gap=0.1))
    return pd.DataFrame(rows)


def denoising_entries() -> pd.DataFrame:
    rows = []
    for signal in ("top", "spread"):
        for similarity in SIMILARITIES:
            for student_step in (0, 10):
                for teacher_step in (*TEACHER_STEPS, math.nan):
                    trained = not math.isnan(teacher_step)
                    fall = 1.0 - math.log10(teacher_step) / 3.0 if trained else 1.25
                    key = {"signal": signal, "similarity": similarity, "student_step": student_step}
                    key |= {"teacher": "trained" if trained else "bayes"}
                    key |= {"teacher_step": teacher_step, "num_seeds": 16}
                    row = spread(key, 0.005, destructive=0.1 + 0.1 * similarity, destructive_change=0.1 * similarity)
                    row = spread(row, 0.001 if fall == 0.0 else 0.02, flip=0.8 * fall, false_flip=0.2 * fall)
                    row = spread(row, 0.02, flip_change=0.8 * (fall - 1.0), false_flip_change=0.2 * (fall - 1.0))
                    rows.append(spread(row, 0.01, teacher_accuracy=1.0 - 0.2 * max(min(fall, 1.0), 0.0)))
    return pd.DataFrame(rows)


def denoising_alignment() -> pd.DataFrame:
    rows = []
    steps = {"weights": (1, 10, 100), "gradient": (0, 10)}
    teachers = [("one_hot", math.nan), *(("trained", step) for step in (3, 30, 300)), ("bayes", math.nan)]
    for signal, sign in (("top", 1.0), ("spread", -1.0)):
        for similarity in SIMILARITIES:
            for quantity, times in steps.items():
                for student_step in times:
                    for teacher, teacher_step in teachers:
                        early = 0.1 / math.log10(teacher_step + 7.0) if teacher == "trained" else 0.0
                        gain = 0.2 if teacher == "bayes" else sign * early
                        key = {"signal": signal, "similarity": similarity, "quantity": quantity}
                        key |= {"student_step": student_step, "teacher": teacher, "teacher_step": teacher_step}
                        rows.append(spread(key | {"num_seeds": 16}, 0.005, cosine=0.3 + gain, gain=gain))
    return pd.DataFrame(rows)


MAKERS = (
    deviations,
    deviation_bins,
    gains,
    switching,
    switching_teachers,
    eigenspace_trajectories,
    eigenspace_pairs,
    denoising_entries,
    denoising_alignment,
)


def make_tables() -> Tables:
    """All tables of the study, as the stages write them; they are the caller's own."""
    return {name: frame.copy() for name, frame in _made().items()}


@functools.cache
def _made() -> Tables:
    return {make.__name__: make() for make in MAKERS}


def put(frame: pd.DataFrame, value: float, room: float, column: str | None = None, **keys: Any) -> None:
    """Set a figure with its bounds where the columns have the given values."""
    mask = np.logical_and.reduce([np.ones(len(frame), bool), *(frame[name] == key for name, key in keys.items())])
    assert mask.any(), keys
    names = ["estimate", "lower", "upper"] if column is None else [column, f"{column}_lower", f"{column}_upper"]
    frame.loc[mask, names] = [value, value - room, value + room]
