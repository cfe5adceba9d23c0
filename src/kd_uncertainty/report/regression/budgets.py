"""The fits of Var(k) = a/k + b of the regression study, and what they say about the number of responses."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.budget import VAST
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.regression.arms import RegressionArm, curve_label, variant
from kd_uncertainty.report.wording import count_with_interval, with_bounds


@dataclass(frozen=True)
class RegressionBudget:
    """One row of ``response_budget``: a (response variance at k = 1), b (floor), slope and recommended k."""

    model: str
    teacher: str
    target: str
    noise: float
    weighting: str
    mixing: float
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
        """Whether no number of responses suffices by the fit, because there is no floor."""
        return math.isinf(self.recommended.estimate)

    @property
    def name(self) -> str:
        """``network students, linear teacher, noise 0.5``."""
        label = curve_label(self.target, self.noise) + variant(self.mixing, self.weighting)
        return f"{self.model} students, {self.teacher} teacher, {label}"

    def matches(self, arm: RegressionArm) -> bool:
        """Whether ``arm`` is one of the arms that the row was fitted on."""
        return arm.curve == (self.model, self.teacher, self.target, self.noise, self.weighting, self.mixing)

    def variance_at(self, num_responses: float) -> float:
        """The fitted inter-student variance a/k + b."""
        return self.response_variance.estimate / num_responses + self.floor.estimate

    def recommended_text(self) -> str:
        """``12 [8, 19]``, ``none suffices`` or ``n/a``."""
        return "none suffices" if self.unbounded else count_with_interval(self.recommended)

    def sentence(self) -> str:
        """How many responses to buy, and how sure that is."""
        fit = f"a = {with_bounds(self.response_variance)}, b = {with_bounds(self.floor)}"
        name = self.name[:1].upper() + self.name[1:]
        if self.unbounded:
            return (
                f"{name}: every further response pays. The fit has no floor ({fit}), so responses cause all of "
                "the variance between students at every k."
            )
        text = (
            f"{name}: {self.recommended_text()} responses per example. From there on they cause less than "
            f"{100 * self.threshold:.0f}% of the variance between students"
        )
        if self.extrapolated:
            text += f"; extrapolated beyond k = {self.largest_measured} along a/k + b ({fit})"
        return text + "."

    def as_json(self) -> dict[str, object]:
        """The row for the summary; an unbounded number of responses is null and flagged."""
        plain = ("model", "teacher", "target", "noise", "weighting", "mixing", "split", "threshold")
        figures = {"response_variance": self.response_variance, "floor": self.floor, "slope": self.slope}
        return {
            **{name: getattr(self, name) for name in plain},
            **{name: figure.as_json() for name, figure in figures.items()},
            "recommended_num_responses": self.recommended.as_json(),
            "recommended_text": self.recommended_text(),
            "unbounded": self.unbounded,
            "unbounded_above": math.isinf(self.recommended.upper),
            "extrapolated": self.extrapolated,
            "largest_measured": self.largest_measured,
            "num_response_seeds": self.num_response_seeds,
        }


def read_budgets(tables: Tables) -> list[RegressionBudget]:
    """The rows of ``response_budget``; empty where too few k were measured for a fit."""
    return [_budget(row) for row in table(tables, "response_budget").to_dict("records")]


def _budget(row: Mapping[Any, Any]) -> RegressionBudget:
    found = estimate_of(row, "recommended_num_responses")
    # Missing or absurd counts are unbounded: a fit without a floor never gets below its threshold.
    recommended = Estimate(*(math.inf if math.isnan(value) or value >= VAST else value for value in found))
    largest = int(row["largest_measured"])
    return RegressionBudget(
        model=str(row["model"]),
        teacher=str(row["teacher"]),
        target=str(row["target"]),
        noise=float(row["noise"]),
        weighting=str(row.get("weighting", "average")),
        mixing=float(row.get("mixing", 1.0)),
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
