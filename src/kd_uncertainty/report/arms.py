"""The arms of a study, read once from the tables: what each is, how good its students are, where variance lies."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from kd_uncertainty.loss_schedules import CONSTANT, TO_TEACHER, parse_switch
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.schemas import ARM_KEYS

NO_ESTIMATE = Estimate(float("nan"), float("nan"), float("nan"))

Tables = Mapping[str, pd.DataFrame]
Estimates = Mapping[str, Estimate]
Cell = tuple[str, int, str, float, float, str]
"""Everything that names an arm but its teacher: target, k, weighting, mixing, temperature, schedule."""


@dataclass(frozen=True)
class Arm:
    """One cell of the experiment with its estimates by split."""

    arm: int
    teacher: str
    target: str
    num_responses: int
    weighting: str = "average"
    mixing: float = 1.0
    temperature: float = 1.0
    schedule: str = CONSTANT
    num_students: int = 0
    metrics: Mapping[str, Estimates] = field(default_factory=dict)
    components: Mapping[str, Estimates] = field(default_factory=dict)

    def metric(self, name: str, split: str) -> Estimate:
        """The mean over students of a metric on a split."""
        return self.metrics.get(split, {}).get(name, NO_ESTIMATE)

    def component(self, name: str, split: str) -> Estimate:
        """A component of the variance on a split."""
        return self.components.get(split, {}).get(name, NO_ESTIMATE)

    @property
    def is_control(self) -> bool:
        """Whether no teacher was used."""
        return self.target == "one_hot"

    @property
    def cell(self) -> Cell:
        """Everything but the teacher: arms with equal cells compare teachers and nothing else."""
        return self.target, self.num_responses, self.weighting, self.mixing, self.temperature, self.schedule

    def keys(self) -> dict[str, str | int | float]:
        """The columns that name the arm."""
        return {name: getattr(self, name) for name in ARM_KEYS}

    def share(self, source: str, split: str) -> float | None:
        """A source's share of the unbiased inter-student variance; None where the sum is not positive."""
        whole = self.component("inter_unbiased", split).estimate
        part = self.component(source, split).estimate
        return part / whole if whole > 0.0 and not math.isnan(part) else None

    def named(self) -> str:
        """The arm in words: ``the average of 4 sampled labels from the ensemble teacher``."""
        return describe(self.teacher, self.target, self.num_responses) + self.variant()

    def label(self) -> str:
        """The arm in short: ``label, k = 4``."""
        return short_label(self.target, self.num_responses) + self.variant()

    def variant(self) -> str:
        """What sets the arm apart beside teacher, target and k, with a leading comma; empty for the usual arm."""
        return variant(self.mixing, self.temperature, self.weighting, self.schedule)


def describe(teacher: str, target: str, num_responses: int) -> str:
    """What the students of an arm are trained on, in words."""
    if target == "one_hot":
        return "the data's own labels"
    if target == "exact":
        return f"the exact mean probabilities of the {teacher} teacher"
    noun = {"label": "sampled label", "posterior": "posterior draw"}.get(target, target)
    if num_responses == 1:
        return f"one {noun} per example from the {teacher} teacher"
    return f"the average of {num_responses} {noun}s per example from the {teacher} teacher"


def short_label(target: str, num_responses: int) -> str:
    """``label, k = 4``, ``exact``, ``one-hot``."""
    if target in ("exact", "one_hot"):
        return target.replace("_", "-")
    return f"{target}, k = {num_responses}"


def variant(mixing: float, temperature: float, weighting: str = "average", schedule: str = CONSTANT) -> str:
    """The less usual keys of an arm, or an empty string where all are at their defaults."""
    parts = [f"mixing {mixing:g}"] if not math.isnan(mixing) and mixing != 1.0 else []
    parts += [f"temperature {temperature:g}"] if not math.isnan(temperature) and temperature != 1.0 else []
    parts += [f"{weighting} weighting"] if weighting not in ("average", "") else []
    parts += [schedule_text(schedule)] if schedule not in (CONSTANT, "") else []
    return "".join(f", {part}" for part in parts)


def schedule_text(schedule: str) -> str:
    """``labels alone until 50%`` of training, ``labels alone from 50% on``; what a constant one is called is empty."""
    switch = parse_switch(schedule)
    if switch is None:
        return ""
    share = f"{100.0 * switch.share:g}%"
    return f"labels alone until {share}" if switch.direction == TO_TEACHER else f"labels alone from {share} on"


def table(tables: Tables, name: str) -> pd.DataFrame:
    """A table that may be missing, as an empty frame where it is."""
    found = tables.get(name)
    return pd.DataFrame() if found is None else found


def read_arms(tables: Tables) -> list[Arm]:
    """Join ``arm_metrics``, ``variance_components`` and ``student_metrics`` by arm.

    Returns:
        The arms by number; an arm without variance components (a single student, say) still has its metrics.
    """
    metrics = _by_arm(table(tables, "arm_metrics"), "metric")
    components = _by_arm(table(tables, "variance_components"), "component")
    students = table(tables, "student_metrics")
    counts = students.groupby("arm")["student"].nunique().to_dict() if len(students) else {}
    arms = []
    for number, keys in _keys(tables).items():
        arms.append(
            Arm(
                number,
                *keys,
                num_students=int(counts.get(number, 0)),
                metrics=metrics.get(number, {}),
                components=components.get(number, {}),
            )
        )
    return arms


def best(arms: Sequence[Arm], split: str = "validation", metric: str = "nll") -> Arm | None:
    """The arm whose mean metric is surely lowest; by default the validation NLL, on which every choice rests.

    That is the arm with the lowest upper end of the interval (of the estimate, where there is no interval). Among many
    arms the lowest estimate belongs too often to an uncertain one that was lucky.
    """
    candidates = [arm for arm in arms if arm.metric(metric, split).known]
    return min(candidates, key=lambda arm: (_pessimistic(arm.metric(metric, split)), arm.arm), default=None)


def _pessimistic(figure: Estimate) -> float:
    return figure.estimate if math.isnan(figure.upper) else figure.upper


def _keys(tables: Tables) -> dict[int, tuple[str, str, int, str, float, float, str]]:
    found: dict[int, tuple[str, str, int, str, float, float, str]] = {}
    for name in ("arm_metrics", "variance_components"):
        frame = table(tables, name)
        if frame.empty:
            continue
        for row in frame[["arm", *ARM_KEYS]].drop_duplicates().to_dict("records"):
            found[int(row["arm"])] = (
                str(row["teacher"]),
                str(row["target"]),
                int(row["num_responses"]),
                str(row["weighting"]),
                float(row["mixing"]),
                float(row["temperature"]),
                str(row["schedule"]),
            )
    return dict(sorted(found.items()))


def _by_arm(frame: pd.DataFrame, column: str) -> dict[int, dict[str, dict[str, Estimate]]]:
    found: dict[int, dict[str, dict[str, Estimate]]] = defaultdict(lambda: defaultdict(dict))
    for row in frame.to_dict("records"):
        found[int(row["arm"])][str(row["split"])][str(row[column])] = estimate_of(row)
    return found
