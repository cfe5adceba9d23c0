"""Tables of deviations: students, the control beside them, and the difference."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty import calibration
from kd_uncertainty.deviations.statistics import (
    SHARES,
    Floats,
    Statistics,
    by_confidence,
    deviation_statistics,
    log_odds,
)
from kd_uncertainty.deviations.summaries import Independent, Summary
from kd_uncertainty.uncertainty.budget import Interval

Group = Literal["student", "control", "difference", "teacher"]
TABLE_COLUMNS = ("split", "statistic", "group", "estimate", "lower", "upper", "standard_errors", "num_students")
"""Of :func:`deviation_table`, beside the arm's keys."""
BIN_COLUMNS = (
    "split",
    "group",
    "bin",
    "teacher_logit",
    "median",
    "lower_quartile",
    "upper_quartile",
    "count",
)
"""Of :func:`deviation_bins`, beside the arm's keys."""
DEFAULT_BINS = 10


class Compared(NamedTuple):
    """Logits of one arm on one split.

    Attributes:
        teacher: (examples, classes), of its posterior mean; or (students, examples, classes), where student s and
            control s have a teacher of their own.
        students: (students, examples, classes).
        control: (students, examples, classes), of students that were trained on labels and never saw the teacher.
        labels: (examples,), for accuracies; None to leave these out.
    """

    teacher: NDArray[Any]
    students: NDArray[Any]
    control: NDArray[Any]
    labels: NDArray[np.int64] | None = None


def deviation_table(
    compared: Compared,
    *,
    keys: Mapping[str, Any],
    split: str,
    summary: Summary | None = None,
) -> pd.DataFrame:
    """Return the arm's keys, split, statistic, group, estimate, lower, upper, standard_errors, num_students.

    Statistics are those of :func:`~kd_uncertainty.deviations.statistics.deviation_statistics` and, with labels, the
    accuracy, of the teacher too. Groups are "student", "control", "difference" (student minus control, in
    ``standard_errors`` also by its standard error; NaN elsewhere) and "teacher" (accuracy alone; bounds where there are
    several). Bounds stay where the figure can be.

    Args:
        compared: the logits.
        keys: what sets the arm apart; become the first columns.
        split: name of the split.
        summary: makes the intervals; by default those of independent students, student s not paired with control s.

    Raises:
        UserError: if logits do not fit together, or there are too few examples.
    """
    summary = summary or Independent()
    students, control = (figures_of(compared, logits) for logits in (compared.students, compared.control))
    rows: list[dict[str, Any]] = []
    for name, values in students.items():
        difference, errors = summary.difference(values, control[name])
        count, bounded = len(values), name in SHARES
        rows += [
            _row(name, "student", summary.student(values), math.nan, count, _range(bounded, 0.0)),
            _row(name, "control", summary.control(control[name]), math.nan, len(control[name]), _range(bounded, 0.0)),
            _row(name, "difference", difference, errors, count, _range(bounded, -1.0)),
        ]
    if compared.labels is not None:
        rows.append(_teacher_row(compared, compared.labels))
    table = pd.DataFrame([{**keys, "split": split, **row} for row in rows])
    return table[[*keys, *TABLE_COLUMNS]]


def figures_of(compared: Compared, logits: NDArray[Any]) -> Statistics:
    """Return figures (students,) of students or control, by name."""
    figures = deviation_statistics(*log_odds(compared.teacher, logits))
    if compared.labels is not None:
        figures["accuracy"] = calibration.accuracy(logits, compared.labels)
    return figures


def deviation_bins(
    compared: Compared,
    *,
    keys: Mapping[str, Any],
    split: str,
    num_bins: int = DEFAULT_BINS,
) -> pd.DataFrame:
    """Return the arm's keys, split, group, bin, teacher_logit, median, lower_quartile, upper_quartile, count.

    Examples are sorted by their teacher's log-odds and cut into bins of equal size (the first ones have one more where
    that does not divide). ``teacher_logit`` is the median of X over a bin's points, the others are quartiles of Y, of
    all examples and students ("student") or controls ("control") in it.

    Args:
        compared: the logits.
        keys: what sets the arm apart; become the first columns.
        split: name of the split.
        num_bins: bins; fewer where there are fewer examples.

    Raises:
        UserError: if logits do not fit together, or there are too few examples.
    """
    rows: list[dict[str, Any]] = []
    groups: tuple[tuple[Group, NDArray[Any]], ...] = (("student", compared.students), ("control", compared.control))
    for group, logits in groups:
        x, y = by_confidence(*log_odds(compared.teacher, logits))
        parts = np.array_split(np.arange(x.shape[1]), min(num_bins, x.shape[1]))
        for number, part in enumerate(parts):
            lower, median, upper = np.quantile(y[:, part], (0.25, 0.5, 0.75))
            place: dict[str, Any] = {**keys, "split": split, "group": group, "bin": number}
            quartiles = {"median": float(median), "lower_quartile": float(lower), "upper_quartile": float(upper)}
            count = len(part) * len(y)
            rows.append(place | {"teacher_logit": float(np.median(x[:, part]))} | quartiles | {"count": count})
    return pd.DataFrame(rows, columns=[*keys, *BIN_COLUMNS])


def _teacher_row(compared: Compared, labels: NDArray[np.int64]) -> dict[str, Any]:
    found: Floats = np.atleast_1d(calibration.accuracy(compared.teacher, labels))
    return _row("accuracy", "teacher", Independent().student(found), math.nan, len(found), (0.0, 1.0))


def _range(bounded: bool, lowest: float) -> tuple[float, float] | None:
    return (lowest, 1.0) if bounded else None


def _row(
    statistic: str,
    group: Group,
    interval: Interval,
    errors: float,
    count: int,
    limits: tuple[float, float] | None,
) -> dict[str, Any]:
    estimate, lower, upper = interval
    if limits is not None:
        lower, upper = (float(np.clip(bound, *limits)) for bound in (lower, upper))
    return {
        "statistic": statistic,
        "group": group,
        "estimate": float(estimate),
        "lower": float(lower),
        "upper": float(upper),
        "standard_errors": errors,
        "num_students": count,
    }
