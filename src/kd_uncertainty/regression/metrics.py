"""How well teachers and students of a regression task predict, in the units of the source."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.regression.responses import Floats, ValueResponses
from kd_uncertainty.regression.targets import ValueTargets
from kd_uncertainty.schemas import VALUE_ARM_KEYS

METRICS = ("mse", "mae", "r2")
"""Mean squared error, mean absolute error, and 1 - MSE / variance of the split's targets."""
SPLITS = ("train", "validation", "test")


def metrics_of(predictions: Floats, targets: Floats) -> dict[str, Floats]:
    """Return ``METRICS`` of predictions (..., examples) against targets (examples,), each (...)."""
    errors = predictions - targets
    mse = np.mean(errors**2, axis=-1)
    variance = float(np.var(targets))
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - mse / variance
    return {"mse": mse, "mae": np.mean(np.abs(errors), axis=-1), "r2": r2}


def teacher_table(
    responses: ValueResponses, examples: pd.DataFrame, *, confidence: float, num_bootstrap: int, seed: int
) -> pd.DataFrame:
    """Metrics of every teacher's mean with percentile bootstrap intervals over examples.

    Returns:
        teacher, split, metric, estimate, lower, upper.
    """
    rows = examples.set_index("example_id").loc[responses.example_ids]
    tails = [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0]
    table: list[dict[str, Any]] = []
    for teacher, means in responses.means.items():
        for split in SPLITS:
            chosen = (rows["split"] == split).to_numpy()
            targets, predicted = rows["target"].to_numpy(np.float64)[chosen], means[chosen]
            estimates = metrics_of(predicted, targets)
            replicates = _replicates(predicted, targets, num_bootstrap, seed)
            for metric in METRICS:
                lower, upper = np.nanquantile(replicates[metric], tails)
                keys = {"teacher": teacher, "split": split, "metric": metric}
                table.append(keys | {"estimate": float(estimates[metric]), "lower": lower, "upper": upper})
    return pd.DataFrame(table)


def _replicates(predicted: Floats, targets: Floats, num_bootstrap: int, seed: int) -> dict[str, Floats]:
    """Metrics (num_bootstrap,) of resampled examples; the same resamples for all teachers."""
    drawn = np.random.default_rng([seed, len(targets)]).integers(len(targets), size=(num_bootstrap, len(targets)))
    errors, values = (predicted - targets)[drawn], targets[drawn]
    mse = np.mean(errors**2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return {"mse": mse, "mae": np.mean(np.abs(errors), axis=1), "r2": 1.0 - mse / np.var(values, axis=1)}


def student_table(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    responses: ValueResponses,
    examples: pd.DataFrame,
    maker: ValueTargets,
    linear_parameters: int,
) -> pd.DataFrame:
    """Metrics of every student on every split.

    ``residual_variance`` is what the student knows of its own uncertainty: the variance of its residuals on its own
    training targets, divided by n less the number of parameters for a linear student and by n for a network.

    Args:
        predictions: student, example_id, split, prediction, sorted by student, then example.
        plan: one row a student.
        responses: of all examples.
        examples: the examples table.
        maker: of training targets, in the order of ``example_id`` within the training split.
        linear_parameters: p of a linear student, the rank of its design.

    Returns:
        student, arm, ``VALUE_ARM_KEYS``, split, mse, mae, r2, mse_to_teacher, residual_variance.
    """
    rows = examples.sort_values("example_id")
    matrix = prediction_matrix(predictions, plan["student"].to_numpy(), rows["example_id"].to_numpy())
    splits, targets = rows["split"].to_numpy(object), rows["target"].to_numpy(np.float64)
    residual = _residual_variances(matrix[:, splits == "train"], plan, maker, linear_parameters)
    parts = []
    for split in SPLITS:
        chosen = splits == split
        figures = metrics_of(matrix[:, chosen], targets[chosen])
        to_teacher = np.full(len(plan), np.nan)
        for teacher, means in responses.means.items():
            theirs = (plan["teacher"] == teacher).to_numpy()
            to_teacher[theirs] = np.mean((matrix[theirs][:, chosen] - means[chosen]) ** 2, axis=1)
        parts.append(
            plan[["student", "arm", *VALUE_ARM_KEYS]].assign(
                split=split, **figures, mse_to_teacher=to_teacher, residual_variance=residual
            )
        )
    return pd.concat(parts, ignore_index=True)


def prediction_matrix(predictions: pd.DataFrame, students: NDArray[np.int64], example_ids: NDArray[np.int64]) -> Floats:
    """Return the predictions as (students, examples), in the order asked for."""
    ids, who = (predictions[name].to_numpy(dtype=np.int64) for name in ("example_id", "student"))
    values = predictions["prediction"].to_numpy(dtype=np.float64)
    order = np.lexsort((ids, who))
    matrix: Floats = values[order].reshape(len(students), len(example_ids))
    rank = np.empty(len(students), dtype=np.intp)
    rank[np.argsort(students)] = np.arange(len(students))
    return matrix[rank][:, np.argsort(np.argsort(example_ids))]


def _residual_variances(predicted: Floats, plan: pd.DataFrame, maker: ValueTargets, linear_parameters: int) -> Floats:
    """(students,) variances of the residuals on a student's own training targets."""
    found = np.empty(len(plan))
    for position, row in enumerate(plan.itertuples(index=False)):
        residuals = predicted[position] - maker.mixed(row)
        freedom = len(residuals) - (linear_parameters if row.model == "linear" else 0)
        found[position] = residuals @ residuals / freedom if freedom > 0 else np.nan
    return found
