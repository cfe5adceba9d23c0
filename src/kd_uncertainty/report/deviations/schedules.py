"""The schedules of the switching experiment: distil all the way, switch, or stop early."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kd_uncertainty.report.arms import NO_ESTIMATE, Tables, table
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.deviations.arms import TEACHERS, teacher_name
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import ordered, percent

SCHEDULES = ("one_hot", "distillation", "to_distillation", "to_one_hot", "equal_progress")
COLOURS = {
    "one_hot": "#D55E00",
    "distillation": "#0072B2",
    "to_distillation": "#009E73",
    "to_one_hot": "#A65698",
    "equal_progress": "#C07A00",
}
METRICS = ("accuracy", "nll")
HALF = 0.5
COLUMNS = ("teacher", "schedule", "switch", "split", "metric", "estimate")

Cell = tuple[str, str]
"""Split and metric."""


@dataclass(frozen=True)
class Schedule:
    """Students of one teacher under one schedule."""

    teacher: str
    schedule: str
    switch: float = math.nan
    num_students: int = 0
    values: Mapping[Cell, Estimate] = field(default_factory=dict)
    gains: Mapping[Cell, Estimate] = field(default_factory=dict)
    shares: Mapping[Cell, Estimate] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``labels, then the early-stopped teacher from 50% on``."""
        teacher, at = f"the {teacher_name(self.teacher)} teacher", percent(self.switch, 0)
        return {
            "one_hot": "labels alone",
            "distillation": f"{teacher} all the way",
            "to_distillation": f"labels, then {teacher} from {at} of training on",
            "to_one_hot": f"{teacher}, then labels from {at} of training on",
            "equal_progress": f"labels alone, stopped at {at} of training",
        }.get(self.schedule, f"{self.schedule.replace('_', ' ')}, {teacher}")

    def value(self, metric: str, split: str) -> Estimate:
        """A metric on a split."""
        return self.values.get((split, metric), NO_ESTIMATE)

    def gain(self, metric: str, split: str) -> Estimate:
        """The improvement over one-hot labels, paired over seeds."""
        return self.gains.get((split, metric), NO_ESTIMATE)

    def recovered(self, metric: str, split: str) -> Estimate:
        """That as a share of distillation's; NaN where distillation has no gain."""
        return self.shares.get((split, metric), NO_ESTIMATE)


def read_schedules(tables: Tables) -> list[Schedule]:
    """The schedules of the table ``switching`` by teacher; one-hot labels are there once a teacher."""
    frame = table(tables, "switching")
    if missing(frame, COLUMNS):
        return []
    rows: dict[tuple[str, str, float], list[Mapping[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        switch = math.nan if row["switch"] is None else float(row["switch"])
        # NaN equals nothing, so that it cannot be a key.
        rows.setdefault((str(row["teacher"]), str(row["schedule"]), -1.0 if math.isnan(switch) else switch), []).append(
            row
        )
    found = [_schedule(key, own) for key, own in rows.items()]
    teachers, kinds = ordered([f.teacher for f in found], TEACHERS), ordered([f.schedule for f in found], SCHEDULES)
    return sorted(
        found,
        key=lambda one: (
            teachers.index(one.teacher),
            kinds.index(one.schedule),
            0.0 if math.isnan(one.switch) else one.switch,
        ),
    )


def _schedule(key: tuple[str, str, float], rows: Sequence[Mapping[Any, Any]]) -> Schedule:
    cells = [(str(row["split"]), str(row["metric"])) for row in rows]
    read = [
        {cell: estimate_of(row, name) for cell, row in zip(cells, rows, strict=True)}
        for name in (None, "gain", "recovered")
    ]
    count = max((int(row["num_students"]) for row in rows if row.get("num_students")), default=0)
    teacher, schedule, switch = key
    return Schedule(teacher, schedule, switch if switch >= 0.0 else math.nan, count, *read)


def teachers_of(schedules: Iterable[Schedule]) -> list[str]:
    """The teachers in order."""
    return ordered([one.teacher for one in schedules], TEACHERS)


def find(schedules: Sequence[Schedule], teacher: str, kind: str, switch: float | None = None) -> Schedule | None:
    """The schedule of a kind; of several switch points the one nearest to ``switch``."""
    own = [one for one in schedules if one.teacher == teacher and one.schedule == kind]
    if switch is None:
        return own[0] if own else None
    return min(own, key=lambda one: abs(one.switch - switch), default=None)


def candidates(schedules: Sequence[Schedule]) -> list[Schedule]:
    """What one can do: labels alone once, and everything with a teacher."""
    own = [one for one in schedules if one.schedule != "one_hot"]
    return [*[one for one in schedules if one.schedule == "one_hot"][:1], *own]


def best(schedules: Sequence[Schedule], metric: str = "nll", split: str = "validation") -> Schedule | None:
    """The schedule whose mean metric is surely best; by default by validation NLL, on which the choice rests."""
    known = [one for one in candidates(schedules) if one.value(metric, split).known]
    return min(known, key=lambda one: _pessimistic(one.value(metric, split), metric), default=None)


def _pessimistic(figure: Estimate, metric: str) -> float:
    if metric == "accuracy":
        return -(figure.estimate if math.isnan(figure.lower) else figure.lower)
    return figure.estimate if math.isnan(figure.upper) else figure.upper
