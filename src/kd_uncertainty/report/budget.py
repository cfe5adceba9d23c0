"""What the fits of Var(k) = a/k + b say about the number of responses, and why there may be none."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.arms import Arm, Tables, table, variant
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.wording import count_with_interval, plural, with_interval

VAST = 10**9
"""A recommended number of responses from here on means that the fit has no floor to reach."""

NEARLY = 0.2
"""A slope this close to -1 is called nearly 1/k even where its interval leaves -1 out."""


@dataclass(frozen=True)
class Budget:
    """One row of ``response_budget``: a (response variance at k = 1), b (floor), slope and recommended k."""

    teacher: str
    target: str
    weighting: str
    mixing: float
    temperature: float
    schedule: str
    split: str
    response_variance: Estimate
    floor: Estimate
    slope: Estimate
    recommended: Estimate
    threshold: float
    largest_measured: int
    extrapolated: bool
    num_response_seeds: int

    @property
    def unbounded(self) -> bool:
        """Whether no number of responses suffices by the fit."""
        return math.isinf(self.recommended.estimate)

    @property
    def open_above(self) -> bool:
        """Whether the interval of the recommended number has no upper end."""
        return math.isinf(self.recommended.upper)

    @property
    def name(self) -> str:
        """``ensemble, label``, with mixing and temperature where they are not 1."""
        return f"{self.teacher}, {self.target}{self.variant()}"

    def variant(self) -> str:
        """Mixing, temperature, weighting and schedule where they are unusual, with a leading comma."""
        return variant(self.mixing, self.temperature, self.weighting, self.schedule)

    def matches(self, arm: Arm) -> bool:
        """Whether ``arm`` is one of the arms that the row was fitted on."""
        own = (self.teacher, self.target, self.weighting, self.mixing, self.temperature, self.schedule)
        return own == (arm.teacher, arm.target, arm.weighting, arm.mixing, arm.temperature, arm.schedule)

    def variance_at(self, num_responses: float) -> float:
        """The fitted inter-student variance a/k + b."""
        return self.response_variance.estimate / num_responses + self.floor.estimate

    def theory(self) -> str:
        """In words, whether the response component falls as 1/k: the slope's interval against -1."""
        if not self.slope.measured:
            return "not measurable: the slope has no interval"
        side = "more slowly" if self.slope.lower > -1.0 else "faster" if self.slope.upper < -1.0 else ""
        if side and abs(self.slope.estimate + 1.0) <= NEARLY:
            return f"falls nearly as 1/k, but measurably {side}"
        if side:
            return f"falls {side} than 1/k"
        if self.slope.upper - self.slope.lower > 1.0:
            return "compatible with 1/k, but the interval is too wide to say much"
        return "agrees with 1/k"

    def as_json(self) -> dict[str, object]:
        """The row for the summary; an unbounded number of responses is null and flagged."""
        return {
            "teacher": self.teacher,
            "target": self.target,
            "weighting": self.weighting,
            "mixing": self.mixing,
            "temperature": self.temperature,
            "schedule": self.schedule,
            "split": self.split,
            "response_variance": self.response_variance.as_json(),
            "floor": self.floor.as_json(),
            "slope": self.slope.as_json(),
            "theory": self.theory(),
            "recommended_num_responses": self.recommended.as_json(),
            "recommended_text": self.recommended_text(),
            "unbounded": self.unbounded,
            "unbounded_above": self.open_above,
            "extrapolated": self.extrapolated,
            "largest_measured": self.largest_measured,
            "threshold": self.threshold,
            "num_response_seeds": self.num_response_seeds,
        }

    def recommended_text(self) -> str:
        """``12 [8, 19]``, ``none suffices`` or ``n/a``."""
        return "none suffices" if self.unbounded else count_with_interval(self.recommended)

    def fit_text(self) -> str:
        """A and b with their intervals."""
        return f"a = {with_interval(self.response_variance)}, b = {with_interval(self.floor)}"


def read_budgets(tables: Tables) -> list[Budget]:
    """The rows of ``response_budget``; empty where too few k were measured for a fit."""
    return [_budget(row) for row in table(tables, "response_budget").to_dict("records")]


def _budget(row: Mapping[Any, Any]) -> Budget:
    recommended = _open_ended(estimate_of(row, "recommended_num_responses"))
    largest = int(row["largest_measured"])
    return Budget(
        teacher=str(row["teacher"]),
        target=str(row["target"]),
        weighting=str(row["weighting"]),
        mixing=float(row["mixing"]),
        temperature=float(row["temperature"]),
        schedule=str(row["schedule"]),
        split=str(row["split"]),
        response_variance=estimate_of(row, "response_variance"),
        floor=estimate_of(row, "floor"),
        slope=estimate_of(row, "slope"),
        recommended=recommended,
        threshold=float(row["threshold"]),
        largest_measured=largest,
        extrapolated=bool(row["extrapolated"]) or recommended.estimate > largest,
        num_response_seeds=int(row["num_response_seeds"]),
    )


def _open_ended(count: Estimate) -> Estimate:
    """Missing or absurd counts are unbounded: a fit without a floor never gets below its threshold."""
    return Estimate(*(math.inf if math.isnan(value) or value >= VAST else value for value in count))


def why_no_budget(arms: Sequence[Arm], num_response_seeds: int | None) -> str:
    """The reason why no number of responses can be recommended, from what was measured."""
    if num_response_seeds is not None and num_response_seeds < 2:
        return (
            f"every arm has {plural(num_response_seeds, 'response seed')}, and the variance between response seeds "
            "needs at least 2 (8 for a usable interval)"
        )
    sampled = [arm for arm in arms if arm.target not in ("exact", "one_hot")]
    if not sampled:
        return "no arm was trained on sampled responses (label or posterior)"
    measured = sorted({arm.num_responses for arm in sampled})
    if len(measured) < 2:
        return f"only k = {measured[0]} was measured, and the fit of a/k + b needs at least 2 different k"
    return "the propagation stage produced no fit of a/k + b"
