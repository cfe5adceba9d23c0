"""The check across stages: the floor of the fit a/k + b against the components that should make it up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.regression.arms import RegressionArm
from kd_uncertainty.report.regression.budgets import RegressionBudget
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import listing, with_bounds

SECTION = "floor"
RULE = "holds if the two intervals overlap on every curve"


@dataclass(frozen=True)
class FloorCheck:
    """The floor of one curve beside two other ways to it, on the split of the fit.

    Attributes:
        budget: The curve's fit.
        components: Initialisation plus order at the arm with the largest k, with an interval that takes the two as
            independent.
        exact: All variance between students that were trained on the teacher's exact mean, which has no response
            noise; NaN where no such arm was run.
    """

    budget: RegressionBudget
    components: Estimate
    exact: Estimate

    def agrees(self, other: Estimate) -> bool | None:
        """Whether the floor's interval and the other's overlap; None where one of them is missing."""
        floor = self.budget.floor
        if not (floor.measured and other.measured):
            return None
        return floor.lower <= other.upper and other.lower <= floor.upper

    def as_json(self) -> dict[str, object]:
        """The check as a JSON object."""
        return {
            "curve": self.budget.name,
            "floor": self.budget.floor.as_json(),
            "initialisation_and_order": self.components.as_json(),
            "exact_arm": self.exact.as_json(),
            "agrees_with_components": self.agrees(self.components),
            "agrees_with_exact": self.agrees(self.exact),
        }


def floor_checks(arms: Sequence[RegressionArm], budgets: Sequence[RegressionBudget]) -> list[FloorCheck]:
    """A check for each fitted curve of network students."""
    found = []
    for budget in budgets:
        own = [arm for arm in arms if budget.matches(arm) and budget.split in arm.components]
        if budget.model == "linear" or not own:
            continue
        largest = max(own, key=lambda arm: arm.num_responses)
        exact = [arm for arm in arms if (arm.model, arm.teacher, arm.target) == (budget.model, budget.teacher, "exact")]
        parts = _sum(*(largest.component(name, budget.split) for name in ("initialisation", "order")))
        whole = exact[0].component("inter_unbiased", budget.split) if exact else Estimate(*[math.nan] * 3)
        found.append(FloorCheck(budget, parts, whole))
    return found


def _sum(first: Estimate, second: Estimate) -> Estimate:
    """The sum with an interval that takes the two as independent (MOVER); a missing component counts as zero."""
    if not first.known or not second.known:
        return first if first.known else second
    centre = first.estimate + second.estimate
    below = math.hypot(first.estimate - first.lower, second.estimate - second.lower)
    above = math.hypot(first.upper - first.estimate, second.upper - second.estimate)
    return Estimate(centre, centre - below, centre + above)


def floor_claims(checks: Sequence[FloorCheck]) -> list[Claim]:
    """Networks have a floor above zero, and it is what initialisation and order cause."""
    return [_positive(checks), _agreement(checks, "components"), _agreement(checks, "exact")]


def _positive(checks: Sequence[FloorCheck]) -> Claim:
    claim = "the variance between network students has a floor b > 0 that no number of responses removes"
    rule = "holds if the interval of b lies above zero on every curve"
    known = [check for check in checks if check.budget.floor.measured]
    if not known:
        return Claim(SECTION, "positive", claim, rule=rule, ours=True)
    above = [check.budget.floor.lower > 0.0 for check in known]
    texts = (f"{with_bounds(check.budget.floor)} ({check.budget.name})" for check in known)
    shown = known[0].budget.floor
    verdict: Verdict = "holds" if all(above) else "holds in part" if any(above) else "does not hold"
    return Claim(
        SECTION, "positive", claim, f"b = {with_bounds(shown)}", shown, rule, verdict, f"b: {listing(texts)}.", True
    )


def _agreement(checks: Sequence[FloorCheck], kind: str) -> Claim:
    named = {
        "components": "initialisation and order alone, by the crossed seeds at the largest k",
        "exact": "initialisation, order and their interaction: students of the teacher's exact mean",
    }
    claim = f"the fitted floor is the variance of {named[kind]}"
    pairs = [(check, check.components if kind == "components" else check.exact) for check in checks]
    known = [(check, other, check.agrees(other)) for check, other in pairs if check.agrees(other) is not None]
    if not known:
        return Claim(SECTION, f"equals_{kind}", claim, rule=RULE, ours=True)
    right = sum(bool(agrees) for *_, agrees in known)
    texts = (
        f"{with_bounds(check.budget.floor)} against {with_bounds(other)} ({check.budget.name})"
        for check, other, _ in known
    )
    verdict: Verdict = "holds" if right == len(known) else "holds in part" if right else "does not hold"
    check, other, _ = known[0]
    measured = f"{with_bounds(check.budget.floor)} against {with_bounds(other)}"
    sentence = f"The intervals overlap on {right} of {len(known)} curves: {listing(texts)}."
    if kind == "components":
        sentence += " The floor also holds the interaction of the two, which this sum leaves out."
    return Claim(SECTION, f"equals_{kind}", claim, measured, check.budget.floor, RULE, verdict, sentence, True)
