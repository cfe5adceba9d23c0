r"""By how much students deviate from a teacher's confidence: figures of one student each.

Of every example, c is the class that the teacher chooses, X the teacher's log-odds of c and Y the student's (Nagarajan
et al., arXiv 2301.12923, section 3). A student that copies the teacher has Y = X. One that exaggerates the teacher's
confidence has a slope above 1: it is less confident than the teacher where the teacher is unsure ("underfits"), and
more so where the teacher is sure.

c is the teacher's choice, so X is large in part by the teacher's luck, and a second network, even one that never saw
the teacher, lies below the diagonal more often than above: with independent normal noise on common logits of ten
classes, in up to .8 of the tenth where the teacher is least sure, at slopes other than 1. No figure here means anything
without the same figure of such a network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.deviations.logits import chosen_classes, stable_logit
from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]
Statistics = dict[str, Floats]
"""Figures by name, (students,) each."""

QUARTILE, DECILE = 0.25, 0.1
FEWEST_EXAMPLES = 10
"""A decile of fewer is nothing."""
DEVIATIONS = (
    "slope",
    "slope_low_quartile",
    "slope_high_quartile",
    "low_decile_below",
    "high_decile_above",
    "high_decile_below",
    "median_shift_low",
    "median_shift_high",
)
"""Names of the figures of :func:`deviation_statistics`."""
SHARES = ("low_decile_below", "high_decile_above", "high_decile_below", "accuracy")
"""Figures between 0 and 1."""


def log_odds(teacher: NDArray[Any], students: NDArray[Any]) -> tuple[Floats, Floats]:
    """Return X (teachers, examples) and Y (students, examples), in nats, of the class that the teacher chooses.

    Args:
        teacher: (examples, classes) logits, which makes one teacher of all, or (students, examples, classes).
        students: (students, examples, classes) logits.

    Raises:
        UserError: examples or classes differ, or there are too few examples.
    """
    teachers = teacher if teacher.ndim == 3 else teacher[None]
    if students.ndim != 3 or teachers.shape[1:] != students.shape[1:] or len(teachers) not in (1, len(students)):
        raise UserError(
            f"deviations: logits of students {students.shape} do not fit those of the teacher {teacher.shape}; give "
            "(students, examples, classes) and (examples, classes), or one teacher for each student"
        )
    if students.shape[1] < FEWEST_EXAMPLES:
        raise UserError(
            f"deviations: deciles of {students.shape[1]} examples cannot be told apart; give {FEWEST_EXAMPLES} or more"
        )
    classes = chosen_classes(teachers)
    return stable_logit(teachers, classes), stable_logit(students, classes)


def by_confidence(teacher: Floats, students: Floats) -> tuple[Floats, Floats]:
    """Return both (students, examples), each student's examples sorted by the teacher's log-odds; ties stay in order.

    Args:
        teacher: (1 or students, examples).
        students: (students, examples).
    """
    order = np.argsort(teacher, axis=-1, kind="stable")
    confidence = np.take_along_axis(teacher, order, axis=-1)
    return np.broadcast_to(confidence, students.shape), np.take_along_axis(
        students, np.broadcast_to(order, students.shape), axis=-1
    )


def deviation_statistics(teacher: Floats, students: Floats) -> Statistics:
    """Return each student's figures, (students,) each.

    - slope: of the least-squares line of Y on X; slope_low_quartile and slope_high_quartile: on the quarter of the
      examples where the teacher is least or most sure. NaN where X does not vary.
    - low_decile_below: share of the tenth where the teacher is least sure with Y < X.
    - high_decile_above, high_decile_below: share of the tenth where it is most sure with Y > X or Y < X.
    - median_shift_low, median_shift_high: median of Y - X in these tenths, in nats.

    Args:
        teacher: X, (1 or students, examples).
        students: Y, (students, examples).
    """
    x, y = by_confidence(teacher, students)
    examples = x.shape[-1]
    quarter, tenth = (max(round(share * examples), 1) for share in (QUARTILE, DECILE))
    shift = y - x
    low, high = shift[:, :tenth], shift[:, examples - tenth :]
    return {
        "slope": slopes(x, y),
        "slope_low_quartile": slopes(x[:, :quarter], y[:, :quarter]),
        "slope_high_quartile": slopes(x[:, examples - quarter :], y[:, examples - quarter :]),
        "low_decile_below": (low < 0.0).mean(axis=-1),
        "high_decile_above": (high > 0.0).mean(axis=-1),
        "high_decile_below": (high < 0.0).mean(axis=-1),
        "median_shift_low": np.median(low, axis=-1),
        "median_shift_high": np.median(high, axis=-1),
    }


def slopes(x: Floats, y: Floats) -> Floats:
    """Return ``sum (x - mean x)(y - mean y) / sum (x - mean x)^2`` over the last axis; NaN where x does not vary."""
    centred = x - x.mean(axis=-1, keepdims=True)
    spread = np.square(centred).sum(axis=-1)
    varies = (x != x[..., :1]).any(axis=-1) & (spread > 0.0)
    return np.where(varies, (centred * y).sum(axis=-1) / np.where(varies, spread, 1.0), np.nan)
