"""The summary of the convergence study: which labels, which mixing, what step, and every claim with its verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.claims import count_verdicts
from kd_uncertainty.report.comparison import json_safe
from kd_uncertainty.report.convergence import findings
from kd_uncertainty.report.convergence.arms import NOISE_NAMES, NetworkArm, best, read_arms
from kd_uncertainty.report.convergence.claims import make_claims
from kd_uncertainty.report.convergence.law import Mixture, read_mixtures
from kd_uncertainty.report.findings import Finding

STUDY = "convergence"
SPLIT = "test"
SECTIONS = ("gradient_noise", "descent", "plateau", "step_sweep", "mixture", "stability")
"""Tables whose number of seeds or draws the summary tells."""


def make_summary(task: Mapping[str, Any], tables: Tables, *, confidence: float = 0.95) -> dict[str, Any]:
    """Headline figures of the convergence study, the advice, and the verdicts on the claims.

    The choice of labels rests on the validation split; the test split is only reported.

    Args:
        task: The task's description.
        tables: The study's tables by name; any may be missing or empty.
        confidence: The level of the tables' intervals.

    Returns:
        A dictionary of plain Python values without NaN: what is not measured is None.
    """
    arms, mixtures = read_arms(tables), read_mixtures(table(tables, "mixture"))
    choice = best([arm for arm in arms if arm.is_available])
    claims = [claim.as_json() for claim in make_claims(tables, confidence)]
    found = _findings(arms, choice, mixtures, claims)
    plain: dict[str, Any] = json_safe(
        {
            "study": STUDY,
            "task": dict(task),
            "split": SPLIT,
            "confidence": confidence,
            "num_seeds": _num_seeds(tables),
            "choice": None if choice is None else arm_json(choice),
            "labels": [arm_json(arm) for arm in arms],
            "mixtures": [_mixture_json(one) for one in mixtures],
            "claims": claims,
            "verdicts": count_verdicts(claims),
            "findings": [finding.as_json() for finding in found],
            "recommendation": [finding.sentence for finding in found if finding.topic != "rivals"],
            "caveats": _caveats(task, arms, mixtures),
        }
    )
    return plain


def _findings(
    arms: Sequence[NetworkArm],
    choice: NetworkArm | None,
    mixtures: Sequence[Mixture],
    claims: Sequence[Mapping[str, Any]],
) -> list[Finding]:
    """Labels first, then the mixing, the step and the teacher."""
    by_key = {str(claim["key"]): claim for claim in claims}
    found: list[Finding | None] = []
    if choice is not None:
        found += [findings.choice_finding(choice, arms, SPLIT), findings.rivals_finding(choice, arms)]
    if mixtures:
        found.append(findings.mixing_finding(mixtures))
    found += [findings.step_finding(by_key), findings.teacher_finding(by_key)]
    if choice is not None:
        found.append(findings.calm_finding(choice, NOISE_NAMES))
    return [finding for finding in found if finding is not None]


def arm_json(arm: NetworkArm) -> dict[str, Any]:
    """An arm with its metrics by split and its ratios to one-hot."""
    return {
        **arm.key._asdict(),
        "label": arm.key.label,
        "num_seeds": arm.num_seeds,
        "metrics": {
            split: {name: value.as_json() for name, value in metrics.items()} for split, metrics in arm.metrics.items()
        },
        "noise_ratios": {name: arm.noise_ratio(name).as_json() for name in NOISE_NAMES},
    }


def _mixture_json(one: Mixture) -> dict[str, Any]:
    return {
        "teacher": one.label,
        "level": one.key.level,
        "lambda_star": one.predicted,
        "minimum": one.minimum.as_json(),
        "inverse_variance_weight": one.inverse_variance.as_json(),
    }


def _num_seeds(tables: Tables) -> dict[str, int]:
    """The most seeds (draws, of the gradient noise) of each part."""
    found = {}
    for name in SECTIONS:
        frame, column = table(tables, name), "num_draws" if name == "gradient_noise" else "num_seeds"
        if len(frame) and column in frame:
            found[name] = int(frame[column].max())
    return found


def _caveats(task: Mapping[str, Any], arms: Sequence[NetworkArm], mixtures: Sequence[Mixture]) -> list[str]:
    notes = [
        "The linear world is realisable by construction: its probabilities are those of a softmax regression fitted to "
        "the task. What it shows is that theory and SGD agree there, not that real tasks are like that.",
        "Its labels are drawn afresh at every visit. A real data set has one label an example, so that a student that "
        "passes over it often enough learns the labels by heart.",
    ]
    if any(arm.is_teacher for arm in arms):
        notes.append("Every teacher was fitted once: the intervals do not cover another fit or another split.")
    known = str(task.get("bayes_probabilities", ""))
    if known == "assumed":
        notes.append(
            "The source’s labels are taken as certain: ‘exact’ probabilities here know the added label noise and "
            "nothing else."
        )
    if known == "unknown":
        notes.append("The true probabilities are unknown: there are no exact or Dirichlet labels for networks.")
    outside = [one.label for one in mixtures if not 0.0 <= one.minimum.estimate <= 1.0 and one.minimum.known]
    if outside:
        notes.append(f"The measured minimum lies outside 0 to 1 for {', '.join(outside)}.")
    return notes
