"""Rows of the eigenspace study's tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.deviations.eigenspace_models import Start
from kd_uncertainty.deviations.matching import matched_gaps, thinned
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import student_mean

Floats = NDArray[np.float64]
Row = dict[str, Any]
Coarse = Literal["neither", "both", "student"]
"""Whose record is coarse; a control's is as the student's."""


class Compared(NamedTuple):
    """Paths that are compared with one another.

    Attributes:
        start: of the student.
        stop: of the teacher, in steps.
        eigenvalues: (seeds, directions).
        progress: by role, (seeds, steps + 1, directions), relative to the teacher's at its stop.
    """

    start: Start
    stop: int
    eigenvalues: Floats
    progress: dict[str, Floats]

    @property
    def keys(self) -> Row:
        """The columns that say what is compared."""
        return {"start": self.start, "teacher_stop": self.stop}


class Comparison(Protocol):
    """The settings that the rows depend on."""

    @property
    def levels(self) -> tuple[float, ...]: ...
    @property
    def record_every(self) -> tuple[int, ...]: ...
    @property
    def tolerance(self) -> float: ...
    @property
    def curve_points(self) -> int: ...


def trajectory_rows(compared: Compared, options: Comparison, confidence: float) -> Iterator[Row]:
    """Yield the progress of every role and direction at steps of even ratios."""
    eigenvalues = (compared.eigenvalues / compared.eigenvalues[:, :1]).mean(axis=0)
    for role, progress in compared.progress.items():
        for step in curve_steps(progress.shape[1] - 1, options.curve_points):
            for direction, eigenvalue in enumerate(eigenvalues.tolist()):
                yield {
                    **compared.keys,
                    "role": role,
                    "step": step,
                    "direction": direction + 1,
                    "eigenvalue": eigenvalue,
                    **_columns(progress=student_mean(progress[:, step, direction], confidence)),
                    "num_seeds": len(progress),
                }


def pair_rows(compared: Compared, options: Comparison, confidence: float) -> Iterator[Row]:
    """Yield how often student and control are behind in the lower direction of a pair, and the difference."""
    roles: list[str] = [role for role in ("student", "control") if role in compared.progress]
    for every, coarse in recordings(options.record_every):
        found = {role: _gaps(compared, role, every, coarse, np.array(options.levels)) for role in roles}
        shares = {role: _shares(gaps, options.tolerance) for role, gaps in found.items()}
        means = {role: gaps.mean(axis=(1, 2)) for role, gaps in found.items()}
        if "control" in roles:
            for values in (shares, means):
                values["difference"] = values["student"] - values["control"]
        seeds, pairs, levels = found["student"].shape
        for role, share in shares.items():
            close = float((np.abs(found[role]) <= options.tolerance).mean()) if role in found else math.nan
            yield {
                **compared.keys,
                "role": role,
                "record_every": every,
                "coarse": coarse,
                **_columns(share=_mean(share, confidence), gap=_mean(means[role], confidence)),
                "undecided": close,
                "num_pairs": pairs,
                "num_levels": levels,
                "num_seeds": seeds,
            }


def recordings(record_every: Sequence[int]) -> list[tuple[int, Coarse]]:
    """Steps between records, and whose they are: every step of both, and coarser ones of both or the student alone."""
    found: list[tuple[int, Coarse]] = []
    for every in record_every:
        found += [(every, "both"), (every, "student")] if every > 1 else [(1, "neither")]
    return found


def curve_steps(total: int, points: int) -> list[int]:
    """Steps from 0 to the last, at even ratios after the first, each once."""
    return sorted({0, *np.unique(np.geomspace(1, total, points).round().astype(int)).tolist()})


def _gaps(compared: Compared, role: str, every: int, coarse: Coarse, levels: Floats) -> Floats:
    """(seeds, pairs, levels)."""
    teachers = thinned(compared.progress["teacher"], every if coarse == "both" else 1)
    others = thinned(compared.progress[role], every)
    return np.stack([matched_gaps(one, other, levels) for one, other in zip(teachers, others, strict=True)])


def _shares(gaps: Floats, tolerance: float) -> Floats:
    """Share of decided comparisons in which the student is behind, (seeds,); NaN without any."""
    decided = np.abs(gaps) > tolerance
    with np.errstate(invalid="ignore"):
        return np.asarray((decided & (gaps > 0.0)).sum(axis=(1, 2)) / decided.sum(axis=(1, 2)))


def _mean(values: Floats, confidence: float) -> Interval:
    if np.isnan(values).any():
        return Interval(math.nan, math.nan, math.nan)
    return student_mean(values, confidence)


def _columns(**intervals: Interval) -> dict[str, float]:
    return {
        f"{name}{suffix}": bound
        for name, interval in intervals.items()
        for suffix, bound in zip(("", "_lower", "_upper"), interval, strict=True)
    }
