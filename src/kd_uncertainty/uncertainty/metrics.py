"""Means of student metrics with intervals that respect the crossed design."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, SEED_COLUMNS, VALUE_ARM_KEYS
from kd_uncertainty.uncertainty.components import crossed_design
from kd_uncertainty.uncertainty.decomposition import FloatArray

METRICS = ("accuracy", "nll", "brier", "ece", "agreement", "kl_to_teacher")
"""Of students that predict classes; ``VALUE_METRICS`` are those of real values."""
RANGES = dict.fromkeys(("accuracy", "ece", "agreement"), (0.0, 1.0)) | {"r2": (-np.inf, 1.0)}
"""Metrics that are not just non-negative."""


def mean_interval(values: FloatArray, confidence: float) -> tuple[float, float, float]:
    r"""Mean over crossed students with a conservative t interval.

    ``Var(mean) = sum_f V_f / n_f`` with V_f the sample variance of the means over factor f's n_f levels. Main effects
    count once; an interaction counts once for each of its factors, at least twice, hence conservative. Degrees of
    freedom follow Welch and Satterthwaite. A factor with one level adds nothing: the interval is then given that level.

    Args:
        values: (response, initialisation, order) one metric of each student.
        confidence: of the interval.

    Returns:
        Estimate, lower, upper; the bounds are NaN for a single student.
    """
    estimate = float(values.mean())
    terms = []
    for factor, num_levels in enumerate(values.shape):
        if num_levels > 1:
            means = values.mean(axis=tuple(axis for axis in range(values.ndim) if axis != factor))
            terms.append((float(means.var(ddof=1)) / num_levels, num_levels - 1))
    if not terms:
        return estimate, float("nan"), float("nan")
    variance = sum(term for term, _ in terms)
    if variance == 0.0:
        return estimate, estimate, estimate
    # Shares first: the squares of tiny variances underflow.
    degrees = 1.0 / sum((term / variance) ** 2 / dof for term, dof in terms)
    half = float(stats.t.ppf((1.0 + confidence) / 2.0, degrees)) * variance**0.5
    return estimate, estimate - half, estimate + half


def arm_metrics(
    student_metrics: pd.DataFrame,
    plan: pd.DataFrame,
    *,
    confidence: float = 0.95,
    metrics: Sequence[str] = METRICS,
    arm_keys: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Average the students' metrics for each arm and split; levels of seeds, not students, are the independent units.

    Args:
        student_metrics: student, arm, the arm keys, split and one column a metric.
        plan: student and the three seed columns.
        confidence: of the intervals of ``mean_interval``, cut to the metric's range.
        metrics: which columns.
        arm_keys: columns that say what the students of an arm have in common; if left out, ``VALUE_ARM_KEYS`` where
            there is a column ``model``, else ``ARM_KEYS``.

    Returns:
        arm, the arm keys, split, metric, estimate, lower, upper; all NaN where a student's metric is NaN.

    Raises:
        UserError: a student is not in the plan, or an arm's students are not a full crossing.
    """
    if arm_keys is None:
        arm_keys = VALUE_ARM_KEYS if "model" in student_metrics else ARM_KEYS
    seeds = plan.set_index("student")[list(SEED_COLUMNS)]
    unknown = set(student_metrics["student"]) - set(seeds.index)
    if unknown:
        raise UserError(
            f"student {min(unknown)} of the student metrics is not in the plan; use the plan it was made with"
        )
    rows: list[dict[str, Any]] = []
    for (arm, split), group in student_metrics.groupby(["arm", "split"], sort=False):
        try:
            design = crossed_design(seeds.loc[group["student"]].to_numpy())
        except UserError as error:
            raise UserError(f"arm {arm}, split {split}: {error}") from error
        keys = {"arm": arm} | {name: group[name].iloc[0] for name in arm_keys} | {"split": split}
        for metric in metrics:
            values = group[metric].to_numpy(dtype=np.float64)[design.rows].reshape(design.shape)
            estimate, lower, upper = mean_interval(values, confidence)
            bounds = (float(np.clip(bound, *RANGES.get(metric, (0.0, np.inf)))) for bound in (lower, upper))
            rows.append(
                keys | dict(zip(("metric", "estimate", "lower", "upper"), (metric, estimate, *bounds), strict=True))
            )
    return pd.DataFrame(rows, columns=["arm", *arm_keys, "split", "metric", "estimate", "lower", "upper"])
