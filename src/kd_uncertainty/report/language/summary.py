"""The summary of the language study: what to do, and every claim with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import count_verdicts
from kd_uncertainty.report.comparison import json_safe
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.language import findings
from kd_uncertainty.report.language.arms import TEST, TRAIN, Arm, Study, read_study
from kd_uncertainty.report.language.choice import best, guard_of, space_of
from kd_uncertainty.report.language.claims import make_claims

STUDY = "language"


def make_summary(task: Mapping[str, Any], tables: Tables, *, confidence: float = 0.95) -> dict[str, Any]:
    """Headline figures of the language study, the advice, and the verdicts on the claims.

    Method and number of responses are chosen on the prompts that students were trained on; the held-out ones are only
    reported.

    Args:
        task: The description of the prompts: ``num_prompts, num_train, num_test, has_references, relations, template``.
        tables: The study's tables by name; any may be missing or empty.
        confidence: The level of the tables' intervals.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    study = read_study(tables)
    choice = best(study)
    claims = [claim.as_json() for claim in make_claims(tables, confidence)]
    found = _findings(study, choice, claims, task)
    plain: dict[str, Any] = json_safe(
        {
            "study": STUDY,
            "task": dict(task),
            "split": TEST,
            "confidence": confidence,
            "space": space_of(study),
            "guard": guard_of(study),
            "num_students": _num_students(tables),
            "choice": None if choice is None else arm_json(choice, study),
            "teacher": arm_json(study.teacher, study),
            "arms": [arm_json(arm, study) for arm in study.arms],
            "claims": claims,
            "verdicts": count_verdicts(claims),
            "findings": [finding.as_json() for finding in found],
            "recommendation": [finding.sentence for finding in found if finding.topic != "rivals"],
            "caveats": _caveats(study, tables),
        }
    )
    return plain


def _findings(
    study: Study, choice: Arm | None, claims: Sequence[Mapping[str, Any]], task: Mapping[str, Any]
) -> list[Finding]:
    """The method first, then how many answers to buy, what becomes of uncertainty, and what of mistakes."""
    by_key = {str(claim["key"]): claim for claim in claims}
    found: list[Finding | None] = []
    if choice is not None:
        found += [
            findings.choice_finding(choice, study),
            findings.rivals_finding(choice, study),
            findings.budget_finding(choice, study, task),
        ]
    found += [
        findings.single_finding(study),
        findings.uncertainty_finding(study),
        findings.weighting_finding(by_key),
        findings.mistakes_finding(study, by_key),
        findings.held_out_finding(study),
    ]
    return [finding for finding in found if finding is not None]


def arm_json(arm: Arm, study: Study) -> dict[str, Any]:
    """An arm with its metrics by split, and its variances by split and space as they are and as shares of V."""
    metrics: dict[str, dict[str, Any]] = {}
    for (split, name), value in arm.metrics.items():
        metrics.setdefault(split, {})[name] = value.as_json()
    variance: dict[str, dict[str, dict[str, Any]]] = {}
    shares: dict[str, dict[str, dict[str, Any]]] = {}
    for (split, space, name), value in arm.variance.items():
        variance.setdefault(split, {}).setdefault(space, {})[name] = value.as_json()
        if name in ("total", "intra", "inter"):
            told = study.share(name, arm, split, space).as_json()
            shares.setdefault(split, {}).setdefault(space, {})[name] = told
    return {
        "method": arm.method,
        "num_responses": arm.num_responses,
        "label": arm.label,
        "metrics": metrics,
        "variance": variance,
        "shares": shares,
    }


def _num_students(tables: Tables) -> int | None:
    curves = table(tables, "student_curves")
    return int(curves["student"].nunique()) if "student" in curves and len(curves) else None


def _caveats(study: Study, tables: Tables) -> list[str]:
    notes = ["The teacher, the prompts and their split are one choice; no interval covers another teacher or others."]
    if study.arms:
        notes += [
            "Systematic noise and hallucination are defined here (see Words), since the paper defines neither; other "
            "definitions give other numbers.",
            "An answer counts as right if it is a reference or one of its aliases after normalisation: right answers "
            "in other words are counted as wrong, for teacher and students alike.",
            "Variance in embedding space depends on the embedding; that over normalised answers takes any two wordings "
            "as different.",
        ]
        single_seed = not any(
            arm.component(name, TRAIN, space).known
            for arm in study.arms
            for name in ("inter_initialisation", "inter_order")
            for space in study.spaces()
        )
        if single_seed:
            notes.append(
                "Responses, start and order were not varied apart from each other, so that inter-student variance "
                "cannot be split into them."
            )
        if any(figure.estimate < 0.0 for arm in study.arms for figure in arm.variance.values()):
            notes.append("Variances are estimated without bias, so that small ones may come out below zero.")
        if guard_of(study) != "accuracy":
            notes.append("There are no reference answers: nothing here says whether an answer is right.")
    if len(table(tables, "surrogate")):
        notes.append(
            "The surrogate’s students fit their answers exactly: it shows what must hold then, not that it does."
        )
    return notes
