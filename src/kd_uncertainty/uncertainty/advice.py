r"""How many responses and students to buy for a budget, from measured variance components.

A response for every training example costs c, and t trains one student. A student that learns from k averaged
responses differs from its like by ``a/k + b`` (Cui & Pei 2026, section 7, with a floor). The mean of m such students
has ``(a/k + b) / m`` for ``m (c k + t)`` where each has its own responses, and ``a/k + b/m`` for ``c k + m t`` where
they share them. Were k and m continuous, the best own k would be ``sqrt(a t / (b c))`` whatever the budget B, sharing
would want the same number of responses in all, and both would reach ``(sqrt(a c) + sqrt(b t))^2 / B``.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from kd_uncertainty.errors import UserError
from kd_uncertainty.schemas import ARM_KEYS, VALUE_ARM_KEYS
from kd_uncertainty.uncertainty.arms import VarianceComponents
from kd_uncertainty.uncertainty.budget import Curve, fit_curve
from kd_uncertainty.uncertainty.designs import (
    DEPLOYMENTS,
    Designs,
    Prices,
    affordable_designs,
    best_designs,
    check_prices,
    predicted_variance,
)
from kd_uncertainty.uncertainty.predictions import own_plan
from kd_uncertainty.uncertainty.resampling import interval
from kd_uncertainty.uncertainty.tables import from_predictions, measured_curves, variance_components
from kd_uncertainty.uncertainty.values import value_components

_COLUMNS = {
    "split": "object",
    "deployment": "object",
    "responses": "object",
    "cost_per_response": "float64",
    "cost_per_student": "float64",
    "budget": "float64",
    "num_responses": "int64",
    "num_responses_lower": "int64",
    "num_responses_upper": "int64",
    "same_choice_share": "float64",
    "num_students": "int64",
    "cost": "float64",
    "variance": "float64",
    "variance_lower": "float64",
    "variance_upper": "float64",
    "limit": "float64",
    "largest_measured": "int64",
    "extrapolated": "bool",
}


class Advice(NamedTuple):
    """What to buy, and what it rests on.

    Attributes:
        table: of ``advice_table``, one row for each way to deploy.
        components: the measured components.
        split: whose components were used.
    """

    table: pd.DataFrame
    components: VarianceComponents
    split: str

    @property
    def sentences(self) -> list[str]:
        """The rows of the table in words."""
        return [_sentence(row) for row in self.table.to_dict("records")]


def advise(
    predictions: pd.DataFrame | VarianceComponents,
    plan: pd.DataFrame | None,
    cost_per_response: float,
    cost_per_student: float,
    budget: float,
    *,
    max_responses: int | None = None,
    split: str | None = None,
    confidence: float = 0.95,
) -> Advice:
    """Say how many responses and students minimise the variance of what is deployed, for a budget.

    Args:
        predictions: student, example_id, and prediction (a number) or logits (a list) in each row; split where there
            are several. Or components that were estimated before.
        plan: student, num_responses, and the seed columns of crossed students; see ``own_plan`` for what may be left
            out. Not read where components are given.
        cost_per_response: c, of one response for every training example; 0 needs ``max_responses``.
        cost_per_student: t, of training one student, in the same unit.
        budget: in the same unit.
        max_responses: largest k to consider, as the largest that was measured.
        split: whose components to use; the only one, or "validation", if left out.
        confidence: of the intervals.

    Returns:
        The advice; read its ``table`` or its ``sentences``.

    Raises:
        UserError: the tables do not fit each other, fewer than two numbers of responses were measured, or the budget
            buys no student.
    """
    components = predictions if isinstance(predictions, VarianceComponents) else _measure(predictions, plan, confidence)
    chosen = _chosen_split(components, split)
    table = advice_table(
        components,
        cost_per_response=cost_per_response,
        cost_per_student=cost_per_student,
        budgets=[budget],
        max_responses=max_responses,
        split=chosen,
        confidence=confidence,
    )
    if table.empty:
        raise UserError(
            "no curve can be fitted: measure students at two or more numbers of responses, with two or more response "
            "seeds at each"
        )
    return Advice(table, components, chosen)


def advice_table(
    components: VarianceComponents,
    *,
    cost_per_response: float,
    cost_per_student: float,
    budgets: Sequence[float],
    max_responses: int | None = None,
    split: str = "validation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Choose the best numbers of responses and students for every curve, way to deploy and budget.

    Args:
        components: of ``variance_components`` or ``value_components``.
        cost_per_response: c.
        cost_per_student: t.
        budgets: in the same unit, each large enough for one student.
        max_responses: largest k to consider, as the largest that was measured.
        split: whose components are fitted.
        confidence: of the intervals.

    Returns:
        The curve keys; split, deployment ("student" or "ensemble"), responses ("own" or "shared"), costs and budget;
        the chosen num_responses, with the bounds that replicates of a and b choose and the share of them that choose
        the same; num_students; cost, what the choice costs; variance of the choice with its bounds; limit, the variance
        that no budget undercuts; largest_measured, and extrapolated where num_responses is beyond it.

    Raises:
        UserError: a price is out of range, or a budget buys no student.
    """
    prices = [Prices(cost_per_response, cost_per_student, budget, max_responses) for budget in budgets]
    for one in prices:
        check_prices(one)
    ways = [(one, way, affordable_designs(one, *way)) for one in prices for way in DEPLOYMENTS]
    rows = []
    for curve in measured_curves(components, split):
        fitted, replicates = (
            fit_curve(curve.num_responses, values["inter_unbiased"]) for values in (curve.estimates, curve.replicates)
        )
        largest = int(curve.num_responses.max())
        for one, way, designs in ways:
            choice = _choose(fitted, replicates, designs, way[1], confidence)
            labels = {**curve.keys, "split": split, "deployment": way[0], "responses": way[1]}
            paid = choice["num_responses"] * (1 if way[1] == "shared" else choice["num_students"])
            rows.append(
                labels
                | choice
                | {
                    "cost_per_response": one.response,
                    "cost_per_student": one.student,
                    "budget": one.budget,
                    "cost": one.response * paid + one.student * choice["num_students"],
                    "limit": float(fitted.floor) if way[0] == "student" else 0.0,
                    "largest_measured": largest,
                    "extrapolated": choice["num_responses"] > largest,
                }
            )
    return pd.DataFrame(rows, columns=[*components.curve_keys, *_COLUMNS]).astype(_COLUMNS)


def spend(
    components: VarianceComponents,
    *,
    cost_per_response: float,
    cost_per_student: float,
    largest_budget: float,
    num_budgets: int = 25,
    max_responses: int | None = None,
    split: str = "validation",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Trace the best variance against the budget.

    Args:
        components: of ``variance_components`` or ``value_components``.
        cost_per_response: c.
        cost_per_student: t.
        largest_budget: where to stop.
        num_budgets: how many, in equal ratios from the cost of one student with one response.
        max_responses: largest k to consider, as the largest that was measured.
        split: whose components are fitted.
        confidence: of the intervals.

    Returns:
        The table of ``advice_table``, one row for each curve, budget and way to deploy.

    Raises:
        UserError: a price is out of range, or the largest budget buys no student.
    """
    check_prices(Prices(cost_per_response, cost_per_student, largest_budget, max_responses))
    budgets = np.geomspace(cost_per_response + cost_per_student, largest_budget, num_budgets)
    # The ends of a geometric grid are rounded, which may leave no student.
    budgets[0] = cost_per_response + cost_per_student
    budgets[-1] = largest_budget
    return advice_table(
        components,
        cost_per_response=cost_per_response,
        cost_per_student=cost_per_student,
        budgets=budgets.tolist(),
        max_responses=max_responses,
        split=split,
        confidence=confidence,
    )


def _choose(fitted: Curve, replicates: Curve, designs: Designs, responses: str, confidence: float) -> dict[str, Any]:
    """The best design of the fitted curve, and how sure it is."""
    (best,) = best_designs(np.atleast_1d(fitted.response_variance), np.atleast_1d(fitted.floor), designs, responses)
    chosen = Designs(designs.num_responses[best, None], designs.num_students[best, None])
    k = designs.num_responses[best_designs(*replicates, designs, responses)]
    tail = (1.0 - confidence) / 2.0
    variances = predicted_variance(replicates.response_variance, replicates.floor, chosen, responses)
    lower, upper = interval(variances, confidence)
    return {
        "num_responses": int(chosen.num_responses[0]),
        "num_responses_lower": int(np.quantile(k, tail, method="lower")),
        "num_responses_upper": int(np.quantile(k, 1.0 - tail, method="higher")),
        "same_choice_share": float((k == chosen.num_responses[0]).mean()),
        "num_students": int(chosen.num_students[0]),
        "variance": float(predicted_variance(*fitted, chosen, responses)[0]),
        "variance_lower": float(lower),
        "variance_upper": float(upper),
    }


def _measure(predictions: pd.DataFrame, plan: pd.DataFrame | None, confidence: float) -> VarianceComponents:
    """Components of somebody's own predictions, whichever of the two kinds they are."""
    if plan is None:
        raise UserError("predictions need the plan of their students: give a table of student and num_responses")
    if "split" not in predictions:
        predictions = predictions.assign(split="validation")
    if "prediction" in predictions:
        complete, keys = own_plan(plan, VALUE_ARM_KEYS)
        return value_components(predictions, complete, confidence=confidence, arm_keys=keys)
    complete, keys = own_plan(plan, ARM_KEYS)
    return variance_components(
        from_predictions(predictions, complete, arm_keys=keys), confidence=confidence, arm_keys=keys
    )


def _chosen_split(components: VarianceComponents, split: str | None) -> str:
    splits = list(components.table["split"].unique())
    if split is None:
        split = splits[0] if len(splits) == 1 else "validation"
    if split not in splits:
        raise UserError(f"there are no components of the split '{split}' (splits: {', '.join(map(str, splits))})")
    return split


def _sentence(row: Mapping[Hashable, Any]) -> str:
    """One row of the table in words."""
    k, m = row["num_responses"], row["num_students"]
    responses = f"{k} response{'s' * (k != 1)} for each example"
    if row["deployment"] == "student":
        what = f"One student: train it on {responses}"
    elif row["responses"] == "own":
        what = f"Ensemble with responses of their own: train {m} student{'s' * (m != 1)}, each on {responses}"
    else:
        what = f"Ensemble with shared responses: train {m} student{'s' * (m != 1)} on the same {responses}"
    lower, upper = row["num_responses_lower"], row["num_responses_upper"]
    if lower < upper:
        what += f" ({lower} to {upper} are plausible)"
    found = f"variance {row['variance']:.4g} [{row['variance_lower']:.4g}, {row['variance_upper']:.4g}]"
    notes = f"{what}, cost {row['cost']:g} of {row['budget']:g}; {found}"
    if row["deployment"] == "student" and row["limit"] > 0.0:
        notes += f", and no budget brings it below {row['limit']:.4g}"
    if row["extrapolated"]:
        notes += f"; beyond the {row['largest_measured']} responses that were measured"
    return f"{notes}."
