"""Sentences of the convergence report's advice: every word follows from a figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.comparison import Estimate, difference, verdict
from kd_uncertainty.report.convergence.arms import NetworkArm
from kd_uncertainty.report.convergence.claims.mixture import gains
from kd_uncertainty.report.convergence.law import Mixture
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.wording import listing, metric_with_interval, number, plural, value_text, with_bounds

CHOICES = ("accuracy", "nll")


def choice_finding(choice: NetworkArm, arms: Sequence[NetworkArm], split: str) -> Finding:
    """Which labels to train on, among those that a user can have; by validation NLL."""
    nll = choice.metric("nll", "validation")
    own = "the data’s own labels" if choice.key.arm == "one_hot" else f"the labels of the {choice.key.label}"
    title = f"Train on {own}"
    sentence = (
        f"{title}: the networks’ validation NLL, {with_bounds(nll)} over {plural(choice.num_seeds, 'seed')}, has the "
        f"lowest upper end of all labels that need no knowledge of the true probabilities. On the {split} split, which "
        f"played no part in the choice, they reach {_quality(choice, split)}"
    )
    named = {"one_hot": "one-hot labels", "exact": "exact probabilities"}
    others = [arm for arm in arms if arm.key.arm in named and arm is not choice]
    texts = [f"{_quality(arm, split)} with {named[arm.key.arm]}" for arm in others if arm.metric("nll", split).known]
    sentence += f", against {listing(texts)}." if texts else "."
    figures: dict[str, object] = {"arm": choice.key.label, "validation_nll": nll.as_json()}
    return Finding("choice", title, sentence, figures=figures)


def _quality(arm: NetworkArm, split: str) -> str:
    accuracy, nll = arm.metric("accuracy", split), arm.metric("nll", split)
    return f"accuracy {metric_with_interval('accuracy', accuracy)} and NLL {with_bounds(nll)}"


def rivals_finding(choice: NetworkArm, arms: Sequence[NetworkArm]) -> Finding:
    """How many of the other labels that a user can have the measurement cannot tell apart from the choice."""
    nll = choice.metric("nll", "validation")
    others = [arm for arm in arms if arm.is_available and arm is not choice and arm.metric("nll", "validation").known]
    gaps = [difference(arm.metric("nll", "validation"), nll) for arm in others]
    tied = [arm for arm, gap in zip(others, gaps, strict=True) if verdict(gap) == "no measurable difference"]
    title = f"{len(tied)} of the {plural(len(others), 'other kind')} of labels cannot be told apart from the choice"
    names = f": {listing(arm.key.label for arm in tied)}" if tied else ""
    sentence = f"{title} by validation NLL (the interval of the difference covers zero){names}."
    return Finding("rivals", title, sentence, "tied" if tied else "clear", {"tied": [arm.key.label for arm in tied]})


def mixing_finding(mixtures: Sequence[Mixture]) -> Finding:
    """The weight to give the teacher, and what it gains where it was measured."""
    title = "Weight the teacher by inverse variance, λ* = σ₁ / (σ₁ + σₜ)"
    texts = []
    for one in mixtures:
        first, second = gains(one)
        gain = (
            f" (excess risk × {with_bounds(first, 2)} of one-hot’s, × {with_bounds(second, 2)} of the teacher’s)"
            if first.measured and second.measured and one.nearest not in (0.0, 1.0)
            else ""
        )
        texts.append(f"{number(one.predicted, 2)} for {one.label}{gain}")
    sentence = f"{title}: {'; '.join(texts)}. It is for teachers whose errors are independent of the labels."
    figures: dict[str, object] = {one.label: one.predicted for one in mixtures}
    return Finding("mixing", title, sentence, figures=figures)


def step_finding(claims: Mapping[str, Mapping[str, Any]]) -> Finding | None:
    """What the step does: the plateau's power of it, and whether exact probabilities allow a larger one."""
    plateau, doubled = claims.get("proportional"), claims.get("doubled")
    parts = []
    if plateau and plateau["verdict"] != "not measured":
        slope = Estimate(*(_known(plateau["figure"][name]) for name in Estimate._fields))
        parts.append(
            "with noisy labels the excess risk at which SGD stays goes as the step to the power "
            f"{with_bounds(slope, 2)}, so a smaller step buys a smaller neighbourhood"
        )
    if doubled and doubled["verdict"] != "not measured":
        parts.append(
            "do not double the step because the labels are less noisy: the largest stable step does not double"
            if not doubled["figures"]["doubled"]
            else "less noisy labels stand a larger step"
        )
    if not parts:
        return None
    title = "Choose the step by the neighbourhood that you can bear"
    return Finding("step", title, f"{title}: {'; '.join(parts)}.")


def _known(value: float | None) -> float:
    return float("nan") if value is None else value


def teacher_finding(claims: Mapping[str, Mapping[str, Any]]) -> Finding | None:
    """By what to choose a teacher: its squared error on the students' points, or its calibration error."""
    error, ece = claims.get("error_tracks"), claims.get("ece_tracks_not")
    if not error or error["verdict"] == "not measured":
        return None
    rho = error["figure"]["estimate"]
    ranks = error["verdict"] in ("holds", "holds in part")
    title = (
        "Choose a teacher by its squared error on the points that it will label"
        if ranks
        else "The teachers’ squared error on the points that they label does not rank their students here"
    )
    sentence = f"{title}: its rank correlation with the students’ test NLL is {number(rho, 2)}"
    if ece and ece["verdict"] != "not measured":
        sentence += f", that of the test calibration error {number(ece['figure']['estimate'], 2)}"
    sentence += f" ({plural(error['figures']['num_teachers'], 'teacher')})."
    return Finding("teachers", title, sentence, str(error["verdict"]))


def calm_finding(choice: NetworkArm, noises: Mapping[str, str]) -> Finding | None:
    """How much calmer training is with the chosen labels, by all definitions."""
    if choice.key.arm == "one_hot":
        return None
    ratios = {name: choice.noise_ratio(name) for name in noises}
    ratios = {name: value for name, value in ratios.items() if value.measured}
    if not ratios:
        return None
    below, above = sum(v.upper < 1.0 for v in ratios.values()), sum(v.lower > 1.0 for v in ratios.values())
    least, most = min(v.estimate for v in ratios.values()), max(v.estimate for v in ratios.values())
    word = "calmer" if below > above else "less calm" if above > below else "neither calmer nor less calm"
    title = f"Training on the {choice.key.label}’s labels is {word} than on one-hot labels"
    sentence = (
        f"{title} by {below if below > above else above} of {len(ratios)} definitions of convergence noise; the ratios "
        f"run from {value_text(least, 2)} to {value_text(most, 2)}."
    )
    figures: dict[str, object] = {name: value.as_json() for name, value in ratios.items()}
    return Finding("calm", title, sentence, word, figures)
