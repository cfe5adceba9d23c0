"""The closed form that linear models with squared loss follow under plain gradient descent, read from their paths."""

from __future__ import annotations

import math

import pandas as pd

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import choose, missing

COLUMNS = ("model", "descent", "teacher_stop", "role", "step", "direction", "eigenvalue", "progress")
POINTS = (0.1, 0.9)
"""Progress between these is compared with the law; nearer to 0 and 1 everything is alike."""


def filter_of(rate: float, eigenvalue: float, step: float) -> float:
    """``1 - (1 - eta l)^t``, the share that gradient descent has learnt; ``eta l1`` is the rate, l relative to l1."""
    return -math.expm1(step * math.log1p(-rate * eigenvalue))


def learning_rate(frame: pd.DataFrame) -> float:
    """``eta l1``: the student's progress in the top direction after the first step; NaN where it is not recorded."""
    first = choose(frame, role="student", direction=1, step=1)["progress"]
    rate = float(first.iloc[0]) if len(first) else math.nan
    return rate if 0.0 < rate < 1.0 else math.nan


def progress_and_law(trajectories: pd.DataFrame) -> list[tuple[Estimate, float]]:
    """The paths of students and teachers in the directions below the top one, each with its closed form.

    Progress is relative to the teacher's at its stop T: the student's is ``1 - (1 - eta l)^t``, the teacher's that over
    ``1 - (1 - eta l)^T``. Eigenvalues are means over seeds, so the law is near and not exact.

    Args:
        trajectories: The table ``eigenspace_trajectories``; may be empty.
    """
    if missing(trajectories, COLUMNS):
        return []
    plain = choose(trajectories, model="linear_squared", descent="plain")
    keys = [name for name in ("task", "teacher_stop") if name in plain]
    found = []
    for _, own in plain.groupby(keys, sort=False):
        rate, stop = learning_rate(own), float(own["teacher_stop"].iloc[0])
        if math.isnan(rate):
            continue
        for row in own[(own["direction"] > 1) & own["role"].isin(("student", "teacher"))].to_dict("records"):
            law = filter_of(rate, row["eigenvalue"], row["step"])
            law = law / filter_of(rate, row["eigenvalue"], stop) if row["role"] == "teacher" else law
            if POINTS[0] <= law <= POINTS[1]:
                found.append((estimate_of(row, "progress"), law))
    return found
