"""The summary of the regression study: what to do, and every claim of the paper with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import count_verdicts
from kd_uncertainty.report.comparison import estimate_of, json_safe
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.regression import findings
from kd_uncertainty.report.regression.advice import Purchase, main_purchases, read_advice
from kd_uncertainty.report.regression.arms import SAMPLED, RegressionArm, best, read_arms
from kd_uncertainty.report.regression.budgets import RegressionBudget, read_budgets
from kd_uncertainty.report.regression.claims import floor_checks, make_claims
from kd_uncertainty.report.wording import SOURCES, ordered, plural

STUDY = "regression"


def make_summary(
    task: Mapping[str, Any], tables: Tables, *, confidence: float = 0.95, split: str = "test"
) -> dict[str, Any]:
    """Headline figures of the regression study, the recommendation, and the verdicts on the paper's claims.

    The choice of an arm rests on the validation split; ``split`` is only reported. Claims rest on the sections' tables.

    Args:
        task: The task's description.
        tables: The study's tables by name; any may be missing or empty.
        confidence: The level of the tables' intervals.
        split: The split whose figures are shown.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    arms, budgets, purchases = read_arms(tables), read_budgets(tables), read_advice(tables)
    choice = best(arms)
    claims = [claim.as_json() for claim in make_claims(tables, confidence)]
    found = _findings(arms, split)
    plain: dict[str, Any] = json_safe(
        {
            "study": STUDY,
            "task": dict(task),
            "split": split,
            "confidence": confidence,
            "num_arms": len(arms),
            "num_students": sum(arm.num_students for arm in arms),
            "num_seeds": _num_seeds(tables),
            "teachers": _teachers(tables),
            "models": _models(arms, split),
            "choice": None if choice is None else _arm_json(choice, split),
            "response_budget": [budget.as_json() for budget in budgets],
            "advice": [_purchase_json(row) for row in purchases],
            "floor_checks": [check.as_json() for check in floor_checks(arms, budgets)],
            "claims": claims,
            "verdicts": count_verdicts(claims),
            "findings": [finding.as_json() for finding in found],
            "recommendation": _recommendation(found, budgets, purchases),
            "caveats": _caveats(arms, budgets, split),
        }
    )
    return plain


def _findings(arms: Sequence[RegressionArm], split: str) -> list[Finding]:
    choice = best(arms)
    if choice is None:
        return []
    found = [findings.choice_finding(choice, split)]
    if len(arms) > 1:
        found.append(findings.rivals_finding(choice, arms))
    for model in ordered([arm.model for arm in arms], ("linear", "network")):
        own = [arm for arm in arms if arm.model == model]
        controls = [arm for arm in own if arm.is_control]
        distilled = best([arm for arm in own if not arm.is_control])
        if distilled and controls:
            found.append(findings.control_finding(distilled, controls[0]))
        sampled = [arm for arm in own if arm.target in SAMPLED]
        fewest = min(sampled, key=lambda arm: (arm.num_responses, arm.noise), default=None)
        most = max(sampled, key=lambda arm: (arm.num_responses, -arm.noise), default=None)
        for arm in dict.fromkeys(arm.arm for arm in (fewest, most) if arm is not None and model == "network"):
            driver = findings.drivers_finding(next(other for other in own if other.arm == arm), split)
            found += [driver] if driver else []
    return found


def _recommendation(
    found: Sequence[Finding], budgets: Sequence[RegressionBudget], purchases: list[Purchase]
) -> list[str]:
    """Advice first, then numbers of responses, then the rest; linear students, which have no floor, only alone."""
    told = [budget for budget in budgets if budget.model == "network"] or budgets
    return [
        *(row.sentence() for row in main_purchases(purchases)),
        *(budget.sentence() for budget in told),
        *(finding.sentence for finding in found),
    ]


def _teachers(tables: Tables) -> list[dict[str, Any]]:
    values: dict[str, dict[str, dict[str, Any]]] = {}
    for row in table(tables, "teacher_metrics").to_dict("records"):
        metrics = values.setdefault(str(row["teacher"]), {}).setdefault(str(row["split"]), {})
        metrics[str(row["metric"])] = estimate_of(row).as_json()
    return [{"teacher": name, "metrics": metrics} for name, metrics in values.items()]


def _models(arms: Sequence[RegressionArm], split: str) -> list[dict[str, Any]]:
    """Each kind of student with its best distilled arm, by validation MSE, and its control."""
    found = []
    for model in ordered([arm.model for arm in arms], ("linear", "network")):
        own = [arm for arm in arms if arm.model == model]
        distilled = best([arm for arm in own if not arm.is_control])
        control = next((arm for arm in own if arm.is_control), None)
        shown = {"best_arm": distilled, "control": control}
        found.append(
            {"model": model, **{name: None if arm is None else _arm_json(arm, split) for name, arm in shown.items()}}
        )
    return found


def _arm_json(arm: RegressionArm, split: str) -> dict[str, Any]:
    """An arm with its metrics on validation and ``split`` and its components on ``split``."""
    return {
        "arm": arm.arm,
        **arm.keys(),
        "label": arm.label(),
        "name": arm.named(),
        "num_students": arm.num_students,
        "metrics": {
            part: {metric: value.as_json() for metric, value in arm.metrics.get(part, {}).items()}
            for part in dict.fromkeys(["validation", split])
        },
        "components": {name: value.as_json() for name, value in arm.components.get(split, {}).items()},
    }


def _purchase_json(row: Purchase) -> dict[str, Any]:
    keys = ("model", "teacher", "target", "noise", "weighting", "mixing", "deployment", "responses")
    costs = ("cost_per_response", "cost_per_student", "budget", "num_students", "same_choice_share", "extrapolated")
    figures = {"num_responses": row.num_responses.as_json(), "variance": row.variance.as_json()}
    return {**{name: getattr(row, name) for name in (*keys, *costs)}, **figures, "sentence": row.sentence()}


def _num_seeds(tables: Tables) -> dict[str, int]:
    """The most seeds of each factor that any arm of networks has."""
    plan = table(tables, "plan")
    networks = plan[plan["model"] == "network"] if "model" in plan else plan
    if networks.empty:
        return {}
    counts = networks.groupby("arm")[["response_seed", "initialisation_seed", "order_seed"]].nunique().max()
    return {str(name).removesuffix("_seed"): int(count) for name, count in counts.items()}


def _caveats(arms: Sequence[RegressionArm], budgets: Sequence[RegressionBudget], split: str) -> list[str]:
    notes = [
        "Everything is conditional on one split of the data and on teachers that were fitted once; the intervals do "
        "not cover another split or another fit."
    ]
    far = [budget.name for budget in budgets if budget.extrapolated and not budget.unbounded]
    if far:
        notes.append(f"Recommended beyond the measured k: {'; '.join(far)}.")
    negative = [
        f"{source} of {arm.model} students, {arm.label()}"
        for arm in arms
        for source in SOURCES
        if arm.component(source, split).estimate < 0.0
    ]
    if negative:
        notes.append(
            f"{plural(len(negative), 'estimate')} of a variance component came out below zero, that is, too small to "
            f"measure, such as {negative[0]}."
        )
    return notes
