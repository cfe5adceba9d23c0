"""The tabular surrogate's table: exact variances beside simulated ones, as shares of V."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.language.arms import scaled
from kd_uncertainty.report.language.wording import METHODS, SPACE_NAMES, arm_name
from kd_uncertainty.report.wording import ordered

COLUMNS = ("method", "num_responses", "space", "component", "estimate")


@dataclass(frozen=True)
class Point:
    """A component of the surrogate's variance: enumerated, simulated, and by the law (NaN where it has none)."""

    method: str
    num_responses: int
    space: str
    component: str
    exact: float
    simulated: Estimate
    law: float

    @property
    def where(self) -> str:
        """``averaging, k = 4, embeddings``."""
        return f"{arm_name(self.method, self.num_responses)}, {SPACE_NAMES.get(self.space, self.space)}"

    @property
    def value(self) -> Estimate:
        """The exact value, without any doubt, or the simulated one where nothing was enumerated."""
        return self.simulated if math.isnan(self.exact) else Estimate(self.exact, self.exact, self.exact)


@dataclass(frozen=True)
class Surrogate:
    """All points of the surrogate, by method and number of responses."""

    points: tuple[Point, ...] = ()

    def of(self, method: str, component: str, space: str | None = None) -> list[Point]:
        """The points of a method and component."""
        return [
            one
            for one in self.points
            if (one.method, one.component) == (method, component) and space in (None, one.space)
        ]

    @property
    def spaces(self) -> list[str]:
        """The spaces that there are."""
        return ordered([one.space for one in self.points], tuple(SPACE_NAMES))

    @property
    def methods(self) -> list[str]:
        """The methods that there are."""
        return ordered([one.method for one in self.points], METHODS)

    def spread(self, space: str) -> float:
        """V: intra and inter of students of all answers add up to it; NaN without them."""
        for one in self.of("multi", "inter", space):
            if not math.isnan(one.law):
                return one.law * one.num_responses
        return math.nan

    def shares(self, method: str, component: str, space: str) -> tuple[list[float], list[float], list[Estimate]]:
        """k, exact shares of V, and simulated ones."""
        points, whole = self.of(method, component, space), self.spread(space)
        factor = 1.0 / whole if whole > 0.0 else math.nan
        return (
            [float(one.num_responses) for one in points],
            [one.exact * factor for one in points],
            [scaled(one.simulated, factor) for one in points],
        )


def read_surrogate(frame: pd.DataFrame) -> Surrogate:
    """The points of the table ``surrogate``; none where it was not run."""
    if missing(frame, COLUMNS):
        return Surrogate()
    points = [
        Point(
            str(row["method"]),
            int(row["num_responses"]),
            str(row["space"]),
            str(row["component"]),
            _number(row.get("exact")),
            estimate_of(row),
            _number(row.get("law")),
        )
        for row in frame.to_dict("records")
    ]
    methods = ordered([one.method for one in points], METHODS)
    return Surrogate(tuple(sorted(points, key=lambda one: (methods.index(one.method), one.num_responses))))


def _number(value: object) -> float:
    return math.nan if value is None or pd.isna(value) else float(value)  # type: ignore[arg-type,call-overload]
