"""The summary: headline figures and the recommendation as one JSON-safe dictionary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report import findings
from kd_uncertainty.report.arms import Arm, Tables, best, read_arms, table
from kd_uncertainty.report.budget import Budget, read_budgets, why_no_budget
from kd_uncertainty.report.comparison import estimate_of, finite
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.schedules import recovery_finding
from kd_uncertainty.report.teachers import teachers_json
from kd_uncertainty.report.wording import METRIC_NAMES, SOURCES, listing, plural, teacher_order

FEW_RESPONSE_SEEDS = 8
STUDENT_METRICS = tuple(METRIC_NAMES)


def make_summary(
    task: Mapping[str, Any],
    tables: Tables,
    *,
    confidence: float = 0.95,
    split: str = "test",
    baseline: str = "deterministic",
    teacher_recommendation: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Headline figures of a study and the recommendation that follows from them.

    Every choice (arm, best student, verdicts) rests on the validation split; ``split`` is only reported.

    Args:
        task: The task's description (classes, sizes, label noise).
        tables: The study's tables by name: ``arm_metrics`` is needed; ``teacher_metrics``, ``student_metrics``,
            ``variance_components``, ``response_budget`` and ``plan`` may be missing or empty.
        confidence: The level of the tables' intervals.
        split: The split whose figures are shown beside the validation ones.
        baseline: The teacher that the others are compared with, if it is there.
        teacher_recommendation: From the teacher comparison, if it was run.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    arms = read_arms(tables)
    budgets = read_budgets(tables)
    choice = best(arms)
    distilled = best([arm for arm in arms if not arm.is_control])
    seeds = _num_seeds(tables)
    found = _findings(arms, budgets, split, baseline, seeds.get("response")) if choice else []
    switched = recovery_finding(tables, split)
    found += [switched] if switched else []
    return {
        "task": dict(task),
        "split": split,
        "confidence": confidence,
        "num_arms": len(arms),
        "num_students": int(sum(arm.num_students for arm in arms)),
        "num_seeds": seeds,
        "teachers": [_teacher(name, tables, arms, split) for name in _teachers(tables, arms, baseline)],
        "choice": None if choice is None else _arm_json(choice, split),
        "best_student": _best_student(tables, split),
        "distilled": None if distilled is None else _arm_json(distilled, split),
        "control": next((_arm_json(arm, split) for arm in arms if arm.is_control), None),
        "uncertainty": None if choice is None else _uncertainty(choice, split),
        "response_budget": [budget.as_json() for budget in budgets],
        "findings": [finding.as_json() for finding in found],
        "recommendation": [finding.sentence for finding in found],
        "caveats": _caveats(arms, budgets, seeds.get("response"), split),
        "teacher_recommendation": teachers_json(teacher_recommendation, task),
    }


def _findings(
    arms: Sequence[Arm], budgets: Sequence[Budget], split: str, baseline: str, num_response_seeds: int | None
) -> list[Finding]:
    choice = best(arms)
    if choice is None:
        return []
    found = [findings.choice_finding(choice, split)]
    distilled, controls = best([arm for arm in arms if not arm.is_control]), [arm for arm in arms if arm.is_control]
    # The chosen teacher's budget comes first; the chosen target's before its other one.
    teacher = (distilled or choice).teacher
    ours = sorted((b for b in budgets if b.teacher == teacher), key=lambda b: not b.matches(distilled or choice))
    found += [findings.budget_finding(budget) for budget in ours or budgets]
    if not budgets:
        found.append(findings.no_budget_finding(why_no_budget(arms, num_response_seeds)))
    for name in teacher_order(arm.teacher for arm in arms):
        comparison = findings.teacher_finding(name, baseline, arms, choice, split) if name != baseline else None
        found += [comparison] if comparison else []
    if distilled and controls:
        # Where the control is the choice, that it beats distillation is the first thing to know.
        found.insert(1 if choice.is_control else len(found), findings.control_finding(distilled, controls[0], split))
    shown = [(choice, "the chosen arm")]
    shown += [(distilled, "the best distilled arm")] if distilled and distilled.arm != choice.arm else []
    drivers = [findings.drivers_finding(arm, role, split) for arm, role in shown]
    found += [finding for finding in drivers if finding]
    if len(arms) > 1:
        found.append(findings.rivals_finding(choice, arms))
    return found


def _teachers(tables: Tables, arms: Sequence[Arm], baseline: str) -> list[str]:
    metrics = table(tables, "teacher_metrics")
    names = [str(name) for name in metrics["teacher"].unique()] if len(metrics) else []
    return teacher_order([*names, *(arm.teacher for arm in arms)], baseline)


def _teacher(name: str, tables: Tables, arms: Sequence[Arm], split: str) -> dict[str, Any]:
    metrics = table(tables, "teacher_metrics")
    rows = metrics[metrics["teacher"] == name].to_dict("records") if len(metrics) else []
    values: dict[str, dict[str, Any]] = {}
    for row in rows:
        estimate = estimate_of(row)
        values.setdefault(str(row["split"]), {})[str(row["metric"])] = estimate.as_json()
    arm = best([arm for arm in arms if arm.teacher == name])
    return {"teacher": name, "metrics": values, "best_arm": None if arm is None else _arm_json(arm, split)}


def _arm_json(arm: Arm, split: str) -> dict[str, Any]:
    """An arm with its metrics on validation and ``split``, its components and shares on ``split``."""
    return {
        "arm": arm.arm,
        **arm.keys(),
        "label": arm.label(),
        "name": arm.named(),
        "num_students": arm.num_students,
        "metrics": {
            part: {metric: arm.metric(metric, part).as_json() for metric in STUDENT_METRICS}
            for part in dict.fromkeys(["validation", split])
        },
        "components": {name: value.as_json() for name, value in arm.components.get(split, {}).items()},
        "shares": {source: arm.share(source, split) for source in SOURCES},
    }


def _uncertainty(arm: Arm, split: str) -> dict[str, Any]:
    """Total, intra and inter of the chosen arm in variance form and in entropy form (nats)."""
    return {
        "split": split,
        "variance": {name: arm.component(name, split).as_json() for name in ("total", "intra", "inter")},
        "entropy": {name: arm.component(f"{name}_entropy", split).as_json() for name in ("total", "intra", "inter")},
    }


def _best_student(tables: Tables, split: str) -> dict[str, Any] | None:
    """The student with the lowest validation NLL, and its figures on both splits."""
    students = table(tables, "student_metrics")
    if students.empty:
        return None
    validation = students[students["split"] == "validation"].dropna(subset=["nll"])
    if validation.empty:
        return None
    number_ = int(validation.sort_values(["nll", "student"], kind="stable")["student"].iloc[0])
    own = {str(row["split"]): row for row in students[students["student"] == number_].to_dict("records")}
    first = own["validation"]
    figures = {
        part: {metric: finite(float(own[part][metric])) for metric in STUDENT_METRICS if metric in own[part]}
        for part in dict.fromkeys(["validation", split])
        if part in own
    }
    keys: dict[str, Any] = {"teacher": str(first["teacher"]), "target": str(first["target"])}
    keys["num_responses"] = int(first["num_responses"])
    return {"student": number_, "arm": int(first["arm"]), **keys, "chosen_by": "validation nll", "metrics": figures}


def _num_seeds(tables: Tables) -> dict[str, int]:
    """The most seeds of each factor that any arm has."""
    plan, budget = table(tables, "plan"), table(tables, "response_budget")
    if len(plan):
        counts = plan.groupby("arm")[["response_seed", "initialisation_seed", "order_seed"]].nunique().max()
        return {str(name).removesuffix("_seed"): int(count) for name, count in counts.items()}
    return {"response": int(budget["num_response_seeds"].max())} if len(budget) else {}


def _caveats(arms: Sequence[Arm], budgets: Sequence[Budget], num_response_seeds: int | None, split: str) -> list[str]:
    """What a reader should hold against the figures, each only where it applies."""
    notes = []
    if num_response_seeds is not None and num_response_seeds < 2:
        notes.append(
            f"Every arm has {plural(num_response_seeds, 'response seed')}: the response component cannot be separated."
        )
    elif num_response_seeds is not None and num_response_seeds < FEW_RESPONSE_SEEDS:
        notes.append(
            f"Only {plural(num_response_seeds, 'response seed')} per arm: with fewer than {FEW_RESPONSE_SEEDS} the "
            "response component and everything fitted to it is rough."
        )
    astray = [budget.name for budget in budgets if budget.theory() != "agrees with 1/k"]
    if astray:
        notes.append(
            f"{len(astray)} of {plural(len(budgets), 'curve')} do not follow 1/k within the interval of the slope, "
            f"or are too uncertain to tell ({'; '.join(astray)}); there, numbers of responses read off a/k + b are "
            "approximate."
        )
    negative = [
        f"{source} of {'the control' if arm.is_control else f'{arm.teacher}, {arm.label()}'}"
        for arm in arms
        for source in SOURCES
        if arm.component(source, split).estimate < 0.0
    ]
    if negative:
        shown = listing(negative[:3]) + (f" and {len(negative) - 3} more" if len(negative) > 3 else "")
        notes.append(
            f"{plural(len(negative), 'estimate')} of a variance component came out below zero, that is, too small to "
            f"measure: {shown}."
        )
    return notes
