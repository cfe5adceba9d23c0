"""Arms of the confidence experiment: students of a teacher at a temperature, each with its control beside it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.report.arms import NO_ESTIMATE, Tables, short_label, table, variant
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.wording import ordered

INTERPOLATING, EARLY_STOPPED = "interpolating", "early_stopped"
TEACHERS = (INTERPOLATING, EARLY_STOPPED)
STUDENTS = ("self", "smaller", "larger")
TEMPERATURE = 4.0
"""At which the paper's claims are judged; the nearest one where it was not measured."""
COLOURS = {"student": "#0072B2", "control": "#D55E00", "stopped_control": "#C07A00"}
GROUP_NAMES = {
    "student": "students",
    "control": "control: labels alone, trained as long",
    "stopped_control": "control stopped with the teacher",
}
STATISTIC_NAMES = {
    "slope": "slope, all points",
    "slope_low_quartile": "slope, least sure quarter",
    "slope_high_quartile": "slope, surest quarter",
    "low_decile_below": "below the teacher, least sure tenth",
    "high_decile_above": "above the teacher, surest tenth",
    "high_decile_below": "below the teacher, surest tenth",
    "median_shift_low": "median shift, least sure tenth",
    "median_shift_high": "median shift, surest tenth",
}
COLUMNS = ("teacher", "split", "statistic", "group", "estimate")

Place = tuple[str, str, str]
"""Split, statistic and group."""


def teacher_name(teacher: str) -> str:
    """``early-stopped``."""
    return teacher.replace("_", "-") if teacher in TEACHERS else teacher.replace("_", " ")


@dataclass(frozen=True)
class Arm:
    """Students that were distilled from a teacher at a temperature, and their control."""

    teacher: str
    student: str = "self"
    temperature: float = 1.0
    num_students: int = 0
    figures: Mapping[Place, Estimate] = field(default_factory=dict)
    errors: Mapping[Place, float] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``interpolating, self, τ = 4``."""
        return f"{teacher_name(self.teacher)}, {self.student.replace('_', ' ')}, τ = {self.temperature:g}"

    def figure(self, statistic: str, split: str, group: str = "student") -> Estimate:
        """A statistic of a group on a split."""
        return self.figures.get((split, statistic, group), NO_ESTIMATE)

    @property
    def control(self) -> str:
        """The group that the students stand beside: the control that stopped with the teacher, where there is one."""
        return "stopped_control" if any(group == "stopped_control" for *_, group in self.figures) else "control"

    def beside(self, statistic: str, split: str) -> Estimate:
        """The control's figure."""
        return self.figure(statistic, split, self.control)

    def difference(self, statistic: str, split: str) -> Estimate:
        """Students minus control."""
        return self.figure(statistic, split, self._difference)

    def standard_errors(self, statistic: str, split: str) -> float:
        """Students minus control in standard errors of the difference."""
        return self.errors.get((split, statistic, self._difference), math.nan)

    @property
    def _difference(self) -> str:
        return self.control.replace("control", "difference")

    def gain(self, split: str) -> Estimate:
        """Accuracy above that of the same networks trained as long on the labels alone."""
        return self.figure("accuracy", split, "difference")


def read_arms(tables: Tables) -> list[Arm]:
    """The arms of the table ``deviations``, interpolating teachers first."""
    frame = table(tables, "deviations")
    if missing(frame, COLUMNS):
        return []
    rows: dict[tuple[str, str, float], list[Mapping[Any, Any]]] = {}
    for row in frame.to_dict("records"):
        rows.setdefault(key_of(row), []).append(row)
    arms = [_arm(key, own) for key, own in rows.items()]
    teachers, students = ordered([a.teacher for a in arms], TEACHERS), ordered([a.student for a in arms], STUDENTS)
    return sorted(arms, key=lambda arm: (teachers.index(arm.teacher), students.index(arm.student), arm.temperature))


def key_of(row: Mapping[Any, Any]) -> tuple[str, str, float]:
    """Teacher, student and temperature of a row; in a study of soft labels their kind stands for the student."""
    temperature = _number(row.get("temperature", 1.0))
    return str(row["teacher"]), str(row.get("student") or _labels(row)), 1.0 if math.isnan(temperature) else temperature


def _labels(row: Mapping[Any, Any]) -> str:
    """``exact``, ``label, k = 4, mixing 0.5``; ``self`` where a row says nothing of either."""
    if "target" not in row:
        return STUDENTS[0]
    count = _number(row.get("num_responses", 1))
    name = short_label(str(row["target"]), 1 if math.isnan(count) else int(count))
    return name + variant(
        _number(row.get("mixing", 1.0)), 1.0, str(row.get("weighting", "average")), str(row.get("schedule", CONSTANT))
    )


def _arm(key: tuple[str, str, float], rows: Sequence[Mapping[Any, Any]]) -> Arm:
    figures, errors, counts = {}, {}, []
    for row in rows:
        place = str(row["split"]), str(row["statistic"]), str(row["group"])
        figures[place], errors[place] = estimate_of(row), _number(row.get("standard_errors"))
        counts.append(_number(row.get("num_students")))
    return Arm(*key, int(max((count for count in counts if not math.isnan(count)), default=0)), figures, errors)


def _number(value: object) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def reference_temperature(arms: Iterable[Arm]) -> float:
    """The temperature nearest to `TEMPERATURE`, by ratio; NaN without arms."""
    found = {arm.temperature for arm in arms if arm.temperature > 0.0}
    return min(found, key=lambda one: (abs(math.log(one / TEMPERATURE)), one), default=math.nan)


def judged(arms: Sequence[Arm], teacher: str = INTERPOLATING) -> list[Arm]:
    """The arms of a teacher at the reference temperature."""
    own = [arm for arm in arms if arm.teacher == teacher]
    at = reference_temperature(own)
    return [arm for arm in own if arm.temperature == at]


def best(arms: Iterable[Arm], split: str = "validation") -> Arm | None:
    """The arm whose accuracy is surely highest: by default on the validation split, on which the choice rests."""
    known = [arm for arm in arms if arm.figure("accuracy", split).known]
    return max(known, key=lambda arm: _pessimistic(arm.figure("accuracy", split)), default=None)


def _pessimistic(figure: Estimate) -> float:
    return figure.estimate if math.isnan(figure.lower) else figure.lower
