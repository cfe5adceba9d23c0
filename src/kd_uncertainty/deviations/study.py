"""Deviations of the students of a classification study, from its own tables."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, PositiveInt

from kd_uncertainty.deviations.gains import gain_table
from kd_uncertainty.deviations.logits import Floats, posterior_mean_logits
from kd_uncertainty.deviations.statistics import FEWEST_EXAMPLES
from kd_uncertainty.deviations.summaries import Crossed
from kd_uncertainty.deviations.tables import DEFAULT_BINS, Compared, deviation_bins, deviation_table
from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import NO_TEACHER, SEED_COLUMNS
from kd_uncertainty.soft_labels import SoftLabels
from kd_uncertainty.tasks.options import SPLITS
from kd_uncertainty.typed import Fraction, Options, Seed
from kd_uncertainty.uncertainty.components import CrossedDesign, crossed_design
from kd_uncertainty.uncertainty.predictions import ArmLogits, read_arms

logger = logging.getLogger(__name__)

CONTROL = "one_hot"
"""Target of the arm that never saw a teacher."""
_BLOCK = 1 << 18


class StudyDeviationsOptions(Options):
    """How the deviations of a study's students are summarised."""

    confidence: Fraction = 0.95
    num_bins: PositiveInt = Field(DEFAULT_BINS, description="of the teacher's confidence")
    num_bootstrap: PositiveInt = Field(1000, description="replicates over arms of the correlation with the gain")
    seed: Seed = 14


DEFAULTS = StudyDeviationsOptions()


class Confidence(NamedTuple):
    """Tables of the confidence deviations.

    Attributes:
        deviations: the arm's keys, split, statistic, group, estimate, lower, upper, standard_errors, num_students
            (:func:`~kd_uncertainty.deviations.tables.deviation_table`).
        bins: the arm's keys, split, group, bin, teacher_logit, median, lower_quartile, upper_quartile, count
            (:func:`~kd_uncertainty.deviations.tables.deviation_bins`).
        gains: arms, split, statistic, group, gain_split, correlation, lower, upper, num_arms
            (:func:`~kd_uncertainty.deviations.gains.gain_table`).
    """

    deviations: pd.DataFrame
    bins: pd.DataFrame
    gains: pd.DataFrame


def study_deviations(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    soft_labels: SoftLabels,
    examples: pd.DataFrame,
    options: StudyDeviationsOptions = DEFAULTS,
) -> Confidence:
    """Return the deviations of every arm that has a teacher, with the arm of one-hot labels as the control.

    Args:
        predictions: student, example_id, split, logits.
        plan: student, arm, the arm keys and the three seed columns.
        soft_labels: posterior logits of all teachers of the plan.
        examples: example_id, split, target; training targets have their label noise.
        options: of the intervals and bins. Intervals are over crossed seeds
            (:class:`~kd_uncertainty.deviations.summaries.Crossed`), those of correlations over arms.

    Raises:
        UserError: if the plan has no arm of one-hot labels or none with a teacher, no split has ten examples, or
            tables do not fit together.
    """
    control = _control(plan)
    taught = plan[(plan["target"] != CONTROL) & (plan["teacher"] != NO_TEACHER)]
    if taught.empty:
        raise UserError("deviations: no arm of the plan has a teacher to deviate from; add one to students.arms")
    teacher = _cached(lambda name: _posterior_mean(soft_labels, name))
    labels = examples.set_index("example_id")["target"]
    (beside,) = read_arms(predictions, control)
    splits = _large_enough(beside)
    deviations, bins = [], []
    for arm in read_arms(predictions, taught, splits):
        summary = Crossed(_design(arm), _design(beside), options.confidence)
        for split, compared in _compared(arm, beside, teacher(arm.keys["teacher"]), soft_labels, labels):
            deviations.append(deviation_table(compared, keys=arm.keys, split=split, summary=summary))
            bins.append(deviation_bins(compared, keys=arm.keys, split=split, num_bins=options.num_bins))
    table = pd.concat(deviations, ignore_index=True)
    gains = gain_table(table, confidence=options.confidence, num_bootstrap=options.num_bootstrap, seed=options.seed)
    return Confidence(table, pd.concat(bins, ignore_index=True), gains)


def _control(plan: pd.DataFrame) -> pd.DataFrame:
    """The rows of the first arm of one-hot labels."""
    rows: pd.DataFrame = plan[plan["target"] == CONTROL]
    if rows.empty:
        raise UserError(
            "deviations: no arm of the plan was trained on the labels alone, so there is nothing to compare deviations "
            "with; add {target: one_hot} to students.arms"
        )
    first: pd.DataFrame = rows[rows["arm"] == rows["arm"].iloc[0]]
    return first


def _large_enough(arm: ArmLogits) -> list[str]:
    """The splits that have deciles, in the usual order; others are named in the log."""
    usual = {split: position for position, split in enumerate(SPLITS)}
    found = sorted(arm.splits, key=lambda split: usual.get(split, len(usual)))
    large = [split for split in found if len(arm.splits[split].example_ids) >= FEWEST_EXAMPLES]
    if not large:
        raise UserError(f"deviations: no split has the {FEWEST_EXAMPLES} examples that its deciles need")
    if small := [split for split in found if split not in large]:
        logger.warning(
            "deviations: %s: fewer than %d examples have no deciles, left out", ", ".join(small), FEWEST_EXAMPLES
        )
    return large


def _compared(
    arm: ArmLogits, beside: ArmLogits, teacher: Floats, soft_labels: SoftLabels, labels: pd.Series[Any]
) -> Iterator[tuple[str, Compared]]:
    for split, (example_ids, logits) in arm.splits.items():
        asked = beside.splits[split]
        if not np.array_equal(asked.example_ids, example_ids):
            raise UserError(f"deviations: arms were asked different {split} examples; give every student all of them")
        rows = np.searchsorted(soft_labels.example_ids, example_ids)
        truth = np.asarray(labels.loc[list(example_ids)], dtype=np.int64)
        yield split, Compared(teacher[rows], logits, asked.logits, truth)


def _design(arm: ArmLogits) -> CrossedDesign:
    return crossed_design(arm.plan[list(SEED_COLUMNS)].to_numpy())


def _posterior_mean(soft_labels: SoftLabels, teacher: str) -> Floats:
    """Some rows at a time, because all draws may be more than fits into memory; (examples, classes)."""
    logits = soft_labels.logits[teacher]
    block = max(_BLOCK // (logits.shape[1] * logits.shape[2]), 1)
    starts = range(0, logits.shape[0], block)
    return np.concatenate([posterior_mean_logits(np.asarray(logits[start : start + block])) for start in starts])


def _cached(function: Callable[[str], Floats]) -> Callable[[str], Floats]:
    found: dict[str, Floats] = {}

    def cached(name: str) -> Floats:
        if name not in found:
            found[name] = function(name)
        return found[name]

    return cached
