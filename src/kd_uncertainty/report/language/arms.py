"""The arms of the language study: a method with a number of responses, with variances and metrics beside the teacher's.

Variances are told as shares of the teacher's response variance V of the same split and space.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE, Tables, table
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.language.wording import METHODS, SPACE_NAMES, SPLIT_NAMES, TEACHER, arm_name
from kd_uncertainty.report.rules import ratio
from kd_uncertainty.report.wording import ordered

VARIANCE = ("method", "num_responses", "split", "space", "component", "estimate")
METRICS = ("method", "num_responses", "split", "metric", "estimate")
TRAIN, TEST = "train", "test"
"""The law is about prompts that students were trained on; the others show what carries over."""


@dataclass(frozen=True)
class Arm:
    """Students that were taught in one way, or the teacher itself.

    Attributes:
        method: A key of ``METHOD_NAMES``, or ``teacher``.
        num_responses: k; 0 of the teacher.
        variance: By split, space and component.
        metrics: By split and metric.
    """

    method: str
    num_responses: int
    variance: Mapping[tuple[str, str, str], Estimate] = field(default_factory=dict)
    metrics: Mapping[tuple[str, str], Estimate] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """``all answers, k = 4``."""
        return arm_name(self.method, self.num_responses)

    def component(self, name: str, split: str, space: str) -> Estimate:
        """A component of the variance of answers."""
        return self.variance.get((split, space, name), NO_ESTIMATE)

    def metric(self, name: str, split: str) -> Estimate:
        """A metric of the answers to a split."""
        return self.metrics.get((split, name), NO_ESTIMATE)


@dataclass(frozen=True)
class Study:
    """All arms of students in order, and the teacher."""

    arms: tuple[Arm, ...] = ()
    teacher: Arm = Arm(TEACHER, 0)

    def find(self, method: str, num_responses: int) -> Arm | None:
        """The arm with this method and number of responses."""
        return next((arm for arm in self.arms if (arm.method, arm.num_responses) == (method, num_responses)), None)

    def of(self, method: str) -> list[Arm]:
        """The arms of a method by number of responses."""
        return [arm for arm in self.arms if arm.method == method]

    @property
    def methods(self) -> list[str]:
        """The methods that there are."""
        return list(dict.fromkeys(arm.method for arm in self.arms))

    @property
    def single(self) -> Arm | None:
        """Students of one response."""
        return self.find("multi", 1)

    def spaces(self, split: str = TRAIN) -> list[str]:
        """The spaces in which the variance of a split was measured."""
        found = [space for arm in self.arms for at, space, _ in arm.variance if at == split]
        return ordered(found, tuple(SPACE_NAMES))

    @property
    def splits(self) -> list[str]:
        """The splits of which anything was measured."""
        found = [at for arm in self.arms for at, *_ in (*arm.variance, *arm.metrics)]
        return ordered(found, tuple(SPLIT_NAMES))

    def spread(self, split: str, space: str) -> Estimate:
        """V, the variance of the teacher's responses."""
        for arm in (self.teacher, *self.arms):
            figure = arm.component(TEACHER, split, space)
            if figure.known:
                return figure
        return NO_ESTIMATE

    def law(self, name: str, arm: Arm, split: str, space: str) -> Estimate:
        """``intra = (1 - 1/k) V`` or ``inter = V / k``: what students that fit their k answers have."""
        told = arm.component(f"law_{name}", split, space)
        if told.known or arm.num_responses < 1:
            return told
        share = 1.0 / arm.num_responses
        return scaled(self.spread(split, space), share if name == "inter" else 1.0 - share)

    def share(self, name: str, arm: Arm, split: str, space: str) -> Estimate:
        """A component over V, with an interval from both."""
        return over(arm.component(name, split, space), self.spread(split, space))

    def over_law(self, name: str, arm: Arm, split: str, space: str) -> Estimate:
        """A component over its law, with an interval from both."""
        return over(arm.component(name, split, space), self.law(name, arm, split, space))


def scaled(figure: Estimate, factor: float) -> Estimate:
    """An estimate times a positive number."""
    return Estimate(*(factor * end for end in figure))


def over(first: Estimate, second: Estimate) -> Estimate:
    """``first / second``, also where the first, which may be an unbiased variance, is not positive."""
    if first.estimate > 0.0:
        return ratio(first, second)
    if not (first.known and second.known) or second.estimate <= 0.0:
        return NO_ESTIMATE
    least = second.lower if second.lower > 0.0 else second.estimate
    return Estimate(first.estimate / second.estimate, first.lower / least, first.upper / least)


def read_study(tables: Tables) -> Study:
    """The arms of ``answer_variance`` and ``answer_metrics``; empty where neither was measured."""
    variance: dict[tuple[str, int], dict[tuple[str, str, str], Estimate]] = {}
    metrics: dict[tuple[str, int], dict[tuple[str, str], Estimate]] = {}
    for row in _rows(table(tables, "answer_variance"), VARIANCE):
        place = str(row["split"]), str(row["space"]), str(row["component"])
        variance.setdefault(_key(row), {})[place] = estimate_of(row)
    for row in _rows(table(tables, "answer_metrics"), METRICS):
        metrics.setdefault(_key(row), {})[str(row["split"]), str(row["metric"])] = estimate_of(row)
    arms = [Arm(*key, variance.get(key, {}), metrics.get(key, {})) for key in {**variance, **metrics}]
    methods = ordered([arm.method for arm in arms], METHODS)
    arms.sort(key=lambda arm: (methods.index(arm.method), arm.num_responses))
    teacher = next((arm for arm in arms if arm.method == TEACHER), Arm(TEACHER, 0))
    return Study(tuple(arm for arm in arms if arm.method != TEACHER), teacher)


def _rows(frame: pd.DataFrame, columns: Sequence[str]) -> list[dict[Any, Any]]:
    return [] if missing(frame, columns) else frame.to_dict("records")


def _key(row: Mapping[Any, Any]) -> tuple[str, int]:
    count = row["num_responses"]
    number = 0.0 if pd.isna(count) else float(count)
    return str(row["method"]), 0 if math.isnan(number) else int(number)
