"""Variance components of students that predict real values, as data frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import SEED_COLUMNS, VALUE_ARM_KEYS
from kd_uncertainty.threads import in_order
from kd_uncertainty.uncertainty.arms import (
    MAX_BLOCKS,
    VarianceComponents,
    check_students,
    collect_components,
    num_gram_blocks,
    sample_arm,
)
from kd_uncertainty.uncertainty.components import CrossedDesign, gram_matrices
from kd_uncertainty.uncertainty.decomposition import FloatArray
from kd_uncertainty.uncertainty.jackknife import Means, Sampled, sample_means
from kd_uncertainty.uncertainty.mean_squares import MEAN_SQUARE_STATISTICS, sample_mean_squares
from kd_uncertainty.uncertainty.predictions import arm_rows, numbers
from kd_uncertainty.uncertainty.resampling import Multipliers


class SplitValues(NamedTuple):
    """What one arm's students predict on one split.

    Attributes:
        values: (students, examples), in the units of the target.
        residual_variance: (students,) each student's own variance about its prediction, in squared units, or None.
    """

    values: NDArray[Any]
    residual_variance: NDArray[Any] | None = None


class ArmValues(NamedTuple):
    """What the students of one arm predict.

    Attributes:
        keys: "arm" and each of the arm keys.
        seeds: (students, 3) response, initialisation and order seed, a full crossing.
        splits: by split, students in the order of ``seeds``.
    """

    keys: Mapping[str, Any]
    seeds: NDArray[Any]
    splits: Mapping[str, SplitValues]


def value_components(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    residual_variance: pd.DataFrame | None = None,
    *,
    num_bootstrap: int = 400,
    confidence: float = 0.95,
    seed: int = 0,
    arm_keys: Sequence[str] = VALUE_ARM_KEYS,
) -> VarianceComponents:
    r"""Split the variance of every arm's predictions, with bootstrap intervals over seed levels and examples.

    ``inter`` is the variance over the students with ddof = 0, averaged over examples, ``intra`` the mean of the
    students' residual variances, and total = intra + inter by the law of total variance (Cui & Pei 2026, section 2),
    all three for a population of this size. The components of ``inter_unbiased`` are unbiased for a student with fresh
    seeds, and so may be negative. All are in squared units of the target.

    Args:
        predictions: student, example_id, split, prediction, in any order.
        plan: student, arm, the arm keys and the three seed columns.
        residual_variance: student, residual_variance and, if it differs, split; the student metrics table will do.
            Without it total and intra are left out.
        num_bootstrap: replicates.
        confidence: of the intervals.
        seed: of the multipliers; equal seeds give equal intervals.
        arm_keys: columns of the plan that say what the students of an arm have in common.

    Returns:
        Components for ``response_budget`` and ``advise``; the table has one row an arm, split and component.

    Raises:
        UserError: a column or prediction is missing or not finite, or an arm's students are not a full crossing.
    """
    multipliers = Multipliers(num_bootstrap, seed)
    own = () if residual_variance is None else ("total", "intra")
    statistics = (*own, *MEAN_SQUARE_STATISTICS)
    arms = from_values(predictions, plan, residual_variance, arm_keys=arm_keys)
    sample = partial(sample_values, multipliers=multipliers)
    sampled = in_order(lambda arm: sample_arm(arm.keys, arm.seeds, arm.splits, sample), arms)
    return collect_components(sampled, statistics, tuple(arm_keys), confidence)


def from_values(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    residual_variance: pd.DataFrame | None = None,
    splits: Iterable[str] | None = None,
    *,
    arm_keys: Sequence[str] = VALUE_ARM_KEYS,
) -> Iterator[ArmValues]:
    """Read arms from a table of predictions and the plan, one at a time.

    Args:
        predictions: student, example_id, split, prediction, in any order.
        plan: student, arm, the arm keys and the three seed columns.
        residual_variance: student, residual_variance and, if it differs, split.
        splits: which to read; all that occur if left out.
        arm_keys: columns of the plan that say what the students of an arm have in common.

    Yields:
        One arm in the order of the plan, examples in ascending order of their id.

    Raises:
        UserError: a column is missing, or not every student has every example once.
    """
    if "prediction" not in predictions:
        raise UserError(
            f"the predictions table lacks the column 'prediction' (columns: {', '.join(map(str, predictions))})"
        )
    column = numbers(predictions, "predictions", "prediction", np.float64)
    for arm in arm_rows(predictions, plan, splits, arm_keys=arm_keys):
        parts = {
            split: SplitValues(column[rows], _of_students(residual_variance, arm.plan["student"], split))
            for split, (_, rows) in arm.splits.items()
        }
        yield ArmValues(arm.keys, arm.plan[list(SEED_COLUMNS)].to_numpy(), parts)


def sample_values(content: SplitValues, split: str, design: CrossedDesign, multipliers: Multipliers) -> Sampled:
    """Estimates and replicates of total and intra (where known) and ``MEAN_SQUARE_STATISTICS`` of one arm and split.

    Args:
        content: what the students predict.
        split: name of the split.
        design: the students' crossing.
        multipliers: the shared draws.

    Raises:
        UserError: the arrays have other shapes, or hold what is not finite.
    """
    values = np.asarray(content.values, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape:
        raise UserError(f"{split} predictions have the shape {values.shape}; give a non-empty (students, examples)")
    check_students(values, split, design)
    if not np.isfinite(values).all():
        raise UserError(f"{split} predictions are not all finite; leave out students that diverged, with their seeds")
    gram, shares = gram_matrices(values[..., None], design, num_gram_blocks(len(values)))
    between = sample_mean_squares(gram, shares, design, multipliers, split)
    if content.residual_variance is None:
        return between
    intra = _sample_intra(content.residual_variance, values.shape, split, design, multipliers)
    parts = (
        Sampled(intra.estimates + between.estimates[:1], intra.replicates + between.replicates[:, :1]),
        intra,
        between,
    )
    return Sampled(
        np.concatenate([part.estimates for part in parts]),
        np.concatenate([part.replicates for part in parts], axis=1),
    )


def _sample_intra(
    residual_variance: NDArray[Any],
    shape: tuple[int, ...],
    split: str,
    design: CrossedDesign,
    multipliers: Multipliers,
) -> Sampled:
    """Mean of the students' residual variances, which is the same at every example.

    The variances are mirrored at their mean, so that their deviations have the sign of those of the mean squares, which
    tell what leaving out a level does: the sum of both then has the right covariance.
    """
    variance = np.asarray(residual_variance, dtype=np.float64)
    if variance.shape != shape[:1] or not (np.isfinite(variance) & (variance >= 0.0)).all():
        raise UserError(
            f"residual variances of the {split} split must be one finite number that is not negative for each student"
        )
    mirrored = 2.0 * variance.mean() - variance[design.rows]
    means = Means(np.full((shape[1], 1), variance.mean()), mirrored[:, None], quadratic=())
    return sample_means(means, design, multipliers, split, MAX_BLOCKS)


def _of_students(table: pd.DataFrame | None, students: pd.Series[Any], split: str) -> FloatArray | None:
    """The students' residual variances (students,), those of the split where the table tells them apart."""
    if table is None:
        return None
    missing = [column for column in ("student", "residual_variance") if column not in table]
    if missing:
        raise UserError(
            f"the table of residual variances lacks the column '{missing[0]}' (columns: {', '.join(map(str, table))})"
        )
    chosen = table[table["split"] == split] if "split" in table else table
    by_student = chosen.drop_duplicates("student").set_index("student")["residual_variance"]
    strangers = set(students) - set(by_student.index)
    if strangers:
        raise UserError(f"student {min(strangers)} of the plan has no residual variance for the {split} split")
    return by_student.loc[students].to_numpy(dtype=np.float64)
