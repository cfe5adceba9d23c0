"""The response-budget advice, read from its table: what to buy for a budget, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.regression.arms import curve_label, variant
from kd_uncertainty.report.wording import percent, plural, value_text, with_bounds

WAYS = (("student", "own"), ("ensemble", "own"), ("ensemble", "shared"))
WAY_NAMES = {
    ("student", "own"): "one student",
    ("ensemble", "own"): "ensemble, own responses",
    ("ensemble", "shared"): "ensemble, shared responses",
}


@dataclass(frozen=True)
class Purchase:
    """One row of ``advice``: the best numbers of responses and students of a curve, way to deploy and budget."""

    model: str
    teacher: str
    target: str
    noise: float
    weighting: str
    mixing: float
    deployment: str
    responses: str
    cost_per_response: float
    cost_per_student: float
    budget: float
    num_responses: Estimate
    num_students: int
    variance: Estimate
    same_choice_share: float
    extrapolated: bool

    @property
    def curve(self) -> str:
        """``network students, linear teacher, noise 0.5``."""
        label = curve_label(self.target, self.noise) + variant(self.mixing, self.weighting)
        return f"{self.model} students, {self.teacher} teacher, {label}"

    @property
    def way(self) -> str:
        """How the students are deployed, in words."""
        return WAY_NAMES.get((self.deployment, self.responses), f"{self.deployment}, {self.responses} responses")

    def responses_text(self) -> str:
        """``8 [6, 12]``."""
        k = self.num_responses
        return f"{k.estimate:.0f} [{k.lower:.0f}, {k.upper:.0f}]" if k.measured else f"{k.estimate:.0f}"

    def sentence(self) -> str:
        """What to buy, what variance that leaves, and how sure the choice is."""
        students = "one student" if self.deployment == "student" else plural(self.num_students, "student")
        shared = "" if self.deployment == "student" else f" ({self.responses} responses)"
        text = (
            f"For a budget of {value_text(self.budget, 0)} at {self.cost_per_response:g} a response and "
            f"{self.cost_per_student:g} a student, {self.curve}: train {students}{shared} on {self.responses_text()} "
            f"responses per example; the variance is then {with_bounds(self.variance)}. "
            f"{percent(self.same_choice_share, 0)} of the replicates choose the same number of responses"
        )
        return text + ("; it is beyond the k that were measured." if self.extrapolated else ".")


def read_advice(tables: Tables) -> list[Purchase]:
    """The rows of ``advice``; empty where it was not computed."""
    return [_purchase(row) for row in table(tables, "advice").to_dict("records")]


def _purchase(row: Mapping[Any, Any]) -> Purchase:
    return Purchase(
        model=str(row["model"]),
        teacher=str(row["teacher"]),
        target=str(row["target"]),
        noise=float(row["noise"]),
        weighting=str(row.get("weighting", "average")),
        mixing=float(row.get("mixing", 1.0)),
        deployment=str(row["deployment"]),
        responses=str(row["responses"]),
        cost_per_response=float(row["cost_per_response"]),
        cost_per_student=float(row["cost_per_student"]),
        budget=float(row["budget"]),
        num_responses=estimate_of(row, "num_responses"),
        num_students=int(row["num_students"]),
        variance=estimate_of(row, "variance"),
        same_choice_share=float(row["same_choice_share"]),
        extrapolated=bool(row.get("extrapolated", False)),
    )


def main_purchases(purchases: list[Purchase]) -> list[Purchase]:
    """The advice to be told in words: at the largest budget, every way, for networks on noisy responses if there are.

    Of several such curves the last, which has the largest noise; else one of other networks; else the first curve.
    """
    if not purchases:
        return []
    largest = max(row.budget for row in purchases)
    at = [row for row in purchases if row.budget == largest]
    networks = [row for row in at if row.model == "network"]
    told = ([row for row in networks if row.target == "noise"] or networks or at[:1])[-1]
    return [row for row in at if row.curve == told.curve]
