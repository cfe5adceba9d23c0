"""The summary of the deviations study: what to do, and every claim with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import count_verdicts
from kd_uncertainty.report.comparison import json_safe
from kd_uncertainty.report.deviations import findings
from kd_uncertainty.report.deviations.arms import STUDENTS, Arm, best, read_arms
from kd_uncertainty.report.deviations.claims import make_claims
from kd_uncertainty.report.deviations.schedules import Schedule, candidates, read_schedules
from kd_uncertainty.report.deviations.schedules import best as best_schedule
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.wording import ordered

STUDY = "deviations"
SPLIT = "test"
COUNTS = {
    "deviations": "num_students",
    "switching": "num_students",
    "eigenspace_pairs": "num_seeds",
    "denoising_entries": "num_seeds",
}
"""Tables whose number of seeds the summary tells, and the column that has it."""


def make_summary(task: Mapping[str, Any], tables: Tables, *, confidence: float = 0.95) -> dict[str, Any]:
    """Headline figures of the deviations study, the advice, and the verdicts on the claims.

    Schedule, teacher and temperature are chosen on the validation split; the test split is only reported.

    Args:
        task: The task's description.
        tables: The study's tables by name; any may be missing or empty.
        confidence: The level of the tables' intervals.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    arms, schedules = read_arms(tables), read_schedules(tables)
    choice, arm = best_schedule(schedules), _best_arm(arms)
    claims = [claim.as_json() for claim in make_claims(tables, confidence)]
    found = _findings(arms, arm, schedules, choice, claims)
    plain: dict[str, Any] = json_safe(
        {
            "study": STUDY,
            "task": dict(task),
            "split": SPLIT,
            "confidence": confidence,
            "num_seeds": _num_seeds(tables),
            "choice": None if choice is None else schedule_json(choice),
            "teacher": None if arm is None else arm_json(arm),
            "schedules": [schedule_json(one) for one in candidates(schedules)],
            "arms": [arm_json(one) for one in arms],
            "claims": claims,
            "verdicts": count_verdicts(claims),
            "findings": [finding.as_json() for finding in found],
            "recommendation": [finding.sentence for finding in found if finding.topic != "rivals"],
            "caveats": _caveats(arms, schedules, tables),
        }
    )
    return plain


def _best_arm(arms: Sequence[Arm]) -> Arm | None:
    """The best teacher and temperature for students of the teacher's own network, or of the first there is."""
    students = ordered([arm.student for arm in arms], STUDENTS)
    return best([arm for arm in arms if arm.student == students[0]]) if students else None


def _findings(
    arms: Sequence[Arm],
    arm: Arm | None,
    schedules: Sequence[Schedule],
    choice: Schedule | None,
    claims: Sequence[Mapping[str, Any]],
) -> list[Finding]:
    """The schedule first, then teacher and temperature, whether disobeying pays, and what else to know."""
    by_key = {str(claim["key"]): claim for claim in claims}
    found: list[Finding | None] = []
    if choice is not None:
        found += [findings.choice_finding(choice, schedules, SPLIT), findings.rivals_finding(choice, schedules)]
    if arm is not None:
        found.append(findings.teacher_finding(arm, arms, SPLIT))
    found += [
        findings.pays_finding(by_key),
        findings.switch_finding(schedules, by_key),
        findings.early_finding(schedules, arms),
        findings.control_finding(by_key),
    ]
    return [finding for finding in found if finding is not None]


def schedule_json(one: Schedule) -> dict[str, Any]:
    """A schedule with its metrics, gains and shares of the full gain by split."""
    parts = {"metrics": one.values, "gains": one.gains, "recovered": one.shares}
    return {
        "teacher": one.teacher if one.schedule != "one_hot" else None,
        "schedule": one.schedule,
        "switch": one.switch,
        "label": one.label,
        "num_students": one.num_students,
        **{
            name: _nested({cell: value.as_json() for cell, value in figures.items()}) for name, figures in parts.items()
        },
    }


def _nested(figures: Mapping[tuple[str, str], Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for (split, metric), value in figures.items():
        found.setdefault(split, {})[metric] = value
    return found


def arm_json(arm: Arm) -> dict[str, Any]:
    """An arm with all of its figures by split and statistic, students beside controls."""
    figures: dict[str, dict[str, dict[str, Any]]] = {}
    for (split, statistic, group), value in arm.figures.items():
        figures.setdefault(split, {}).setdefault(statistic, {})[group] = value.as_json()
    return {
        "teacher": arm.teacher,
        "student": arm.student,
        "temperature": arm.temperature,
        "label": arm.label,
        "num_students": arm.num_students,
        "figures": figures,
    }


def _num_seeds(tables: Tables) -> dict[str, int]:
    """The most seeds of each part."""
    found = {}
    for name, column in COUNTS.items():
        frame = table(tables, name)
        if len(frame) and column in frame:
            found[name] = int(frame[column].max())
    return found


def _caveats(arms: Sequence[Arm], schedules: Sequence[Schedule], tables: Tables) -> list[str]:
    notes = [
        "The data set, its split and its label noise are one draw; no interval covers another.",
        "The class is the one that the teacher chooses, which favours the teacher: any other network looks less sure "
        "of it. Only what students have beyond their control is due to distillation.",
    ]
    if arms:
        notes.append(
            "The correlation with the gain is over a handful of arms that share teachers and controls. It says what "
            "goes together, not what causes what."
        )
    if schedules:
        notes.append("In the switching experiment each teacher was trained once: the intervals do not cover another.")
        lost = [
            one for one in schedules if one.schedule == "distillation" and not one.recovered("accuracy", SPLIT).known
        ]
        if lost:
            notes.append("Distillation gained nothing that could be measured in places; there is no share of it there.")
    if len(table(tables, "denoising_entries")) or len(table(tables, "eigenspace_pairs")):
        notes.append(
            "Eigendirections and denoising are measured in small worlds made for them. They show what may explain "
            "deviations, not that it does in large networks."
        )
    return notes
