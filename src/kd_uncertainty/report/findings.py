"""Sentences of the recommendation: every word follows from a figure, and every sentence carries figure and interval."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from kd_uncertainty.loss_schedules import CONSTANT
from kd_uncertainty.report.arms import Arm
from kd_uncertainty.report.budget import Budget
from kd_uncertainty.report.comparison import Estimate, Verdict, difference, verdict
from kd_uncertainty.report.wording import (
    METRIC_NAMES,
    SOURCES,
    decimals,
    listing,
    metric_with_interval,
    number,
    percent,
    plural,
    with_interval,
)


@dataclass(frozen=True)
class Finding:
    """One or a few sentences of the recommendation, which begin with their title, and the figures behind them."""

    topic: str
    title: str
    sentence: str
    verdict: str = ""
    figures: dict[str, object] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The finding as a JSON object."""
        return {name: getattr(self, name) for name in ("topic", "title", "sentence", "verdict", "figures")}


def choice_finding(choice: Arm, split: str) -> Finding:
    """Which teacher, target and k to choose: by validation NLL, with the other split only reported."""
    nll, shown = choice.metric("nll", "validation"), choice.metric("nll", split)
    accuracy = choice.metric("accuracy", split)
    sentence = f"Train students on {choice.named()}: their validation NLL, {with_interval(nll)}" + (
        f" over {plural(choice.num_students, 'student')}" if choice.num_students else ""
    )
    sentence += ", has the lowest upper end of all arms."
    if split != "validation":
        sentence += (
            f" On the {split} split, which played no part in the choice, they reach NLL {with_interval(shown)} "
            f"and accuracy {metric_with_interval('accuracy', accuracy)}."
        )
    figures = {
        "validation_nll": nll.as_json(),
        f"{split}_nll": shown.as_json(),
        f"{split}_accuracy": accuracy.as_json(),
    }
    return Finding("choice", f"Train students on {choice.named()}", sentence, figures={**choice.keys(), **figures})


def rivals_finding(choice: Arm, arms: Sequence[Arm]) -> Finding:
    """Which arms the measurement cannot tell apart from the choice, and the cheapest of them."""
    others = [arm for arm in arms if arm.arm != choice.arm]
    nll = choice.metric("nll", "validation")
    gaps = {arm.arm: difference(arm.metric("nll", "validation"), nll) for arm in others}
    tied = [arm for arm in others if verdict(gaps[arm.arm]) == "no measurable difference"]
    figures: dict[str, object] = {"others": len(others), "tied": [arm.arm for arm in tied]}
    if not tied:
        title = f"None of the {plural(len(others), 'other arm')} comes close"
        closest = gaps[min(others, key=lambda arm: gaps[arm.arm].estimate).arm]
        sentence = f"{title}: even the next best has a validation NLL {gap_text(closest)}."
        return Finding("rivals", title, sentence, "clear", figures)
    title = f"{len(tied)} of the {plural(len(others), 'other arm')} cannot be told apart from the choice"
    sentence = f"{title} by validation NLL {with_interval(nll)} (the interval of the difference covers zero)"
    sampled = [arm for arm in tied if arm.target not in ("exact", "one_hot")]
    if sampled:
        # Labels are cheaper than draws of whole probability vectors, so they come first at equal k.
        cheap = min(sampled, key=lambda arm: (arm.num_responses, arm.target != "label", gaps[arm.arm].estimate))
        sentence += f"; with the fewest responses among them: {cheap.named()}, {gap_text(gaps[cheap.arm], 'NLL')}"
        figures["cheapest"] = cheap.keys()
        figures["cheapest_difference"] = gaps[cheap.arm].as_json()
    return Finding("rivals", title, f"{sentence}.", "tied", figures)


def budget_finding(budget: Budget) -> Finding:
    """How many responses to buy, and how sure that is."""
    noun = {"label": "sampled label", "posterior": "posterior draw"}.get(budget.target, budget.target)
    origin = f"from the {budget.teacher} teacher{budget.variant()}"
    figures = {**budget.as_json()}
    goal = f"responses cause less than {percent(budget.threshold, 0)} of the inter-student variance"
    if budget.unbounded:
        title = f"For students that agree, no number of {noun}s {origin} is enough"
        sentence = f"{title}: by the fit ({budget.fit_text()}) there is no k past which {goal}."
        return Finding("responses", title, sentence, "unbounded", figures)
    k = int(budget.recommended.estimate)
    title = f"For students that agree, buy {plural(k, noun)} {origin}"
    comma = "" if budget.schedule == CONSTANT else ","
    sentence = f"{title}{comma} per example {_count_interval(budget)}: from there on {goal}."
    if budget.extrapolated:
        sentence += (
            f" This is extrapolated beyond the largest k that was measured, {budget.largest_measured}, along the fit "
            f"({budget.fit_text()})."
        )
    if budget.open_above:
        sentence += " The interval has no upper end: the floor cannot be told from zero, so more may be needed."
    verdict_word = "extrapolated" if budget.extrapolated else "open above" if budget.open_above else "measured"
    return Finding("responses", title, sentence, verdict_word, figures)


def no_budget_finding(reason: str) -> Finding:
    """Say plainly that the number of responses cannot be recommended."""
    title = "No number of responses can be recommended"
    return Finding("responses", title, f"{title}: {reason}.", "not measured")


def teacher_finding(teacher: str, baseline: str, arms: Sequence[Arm], choice: Arm, split: str) -> Finding | None:
    """Whether a Bayesian teacher pays over the deterministic one at equal target and k, by validation NLL.

    The cell that the sentence quotes is the choice's if both teachers have it, otherwise the one where the
    deterministic teacher is at its best; the verdicts over all shared cells are counted beside it.
    """
    ours = {arm.cell: arm for arm in arms if arm.teacher == teacher}
    theirs = {arm.cell: arm for arm in arms if arm.teacher == baseline}
    shared = [cell for cell in ours if cell in theirs]
    if not shared:
        return None
    cell = (
        choice.cell
        if choice.cell in shared
        else min(shared, key=lambda key: theirs[key].metric("nll", "validation").estimate)
    )
    nll, accuracy = (_between(ours[cell], theirs[cell], metric, "validation") for metric in ("nll", "accuracy"))
    tally = Counter(verdict(_between(ours[key], theirs[key], "nll", "validation")) for key in shared)
    verdicts: dict[Verdict, tuple[str, str]] = {
        "lower": ("pays", f"The {teacher} teacher pays"),
        "higher": ("does not pay", f"The {teacher} teacher does not pay"),
        "no measurable difference": (
            "no measurable difference",
            f"The {teacher} teacher makes no measurable difference",
        ),
    }
    word, title = verdicts[verdict(nll)]
    sentence = (
        f"{title}{' against' if word.startswith('no') else ' over'} the {baseline} one: at equal target and k "
        f"({ours[cell].label()}) its students' validation NLL is {gap_text(nll)} and their accuracy "
        f"{points_text(accuracy)}. Over all {plural(len(shared), 'shared cell')} its NLL is measurably lower in "
        f"{tally['lower']}, measurably higher in {tally['higher']}, and no measurable difference shows in "
        f"{tally['no measurable difference']}."
    )
    figures: dict[str, object] = {
        "teacher": teacher,
        "baseline": baseline,
        "target": ours[cell].target,
        "num_responses": ours[cell].num_responses,
        "validation_nll_difference": nll.as_json(),
        "validation_accuracy_difference": accuracy.as_json(),
        f"{split}_nll_difference": _between(ours[cell], theirs[cell], "nll", split).as_json(),
        "cells": {"lower": tally["lower"], "higher": tally["higher"], "tied": tally["no measurable difference"]},
    }
    return Finding("bayesian", title, sentence, word, figures)


def control_finding(distilled: Arm, control: Arm, split: str) -> Finding:
    """Whether distillation beats training on the data's own labels."""
    nll, accuracy = (_between(distilled, control, metric, "validation") for metric in ("nll", "accuracy"))
    titles: dict[Verdict, str] = {
        "lower": "Distillation beats the one-hot control",
        "higher": "Distillation loses to the one-hot control",
        "no measurable difference": "Distillation is not measurably different from the one-hot control",
    }
    sentence = (
        f"{titles[verdict(nll)]}: the best distilled arm ({distilled.label()}, {distilled.teacher}) has a validation "
        f"NLL {gap_text(nll)} and an accuracy {points_text(accuracy)} than students trained on the data's own labels."
    )
    figures: dict[str, object] = {
        "validation_nll_difference": nll.as_json(),
        "validation_accuracy_difference": accuracy.as_json(),
    }
    if split != "validation":
        shown = {metric: _between(distilled, control, metric, split) for metric in ("nll", "accuracy")}
        sentence += f" On the {split} split: NLL {gap_text(shown['nll'])}, accuracy {points_text(shown['accuracy'])}."
        figures |= {f"{split}_{metric}_difference": value.as_json() for metric, value in shown.items()}
    return Finding("control", titles[verdict(nll)], sentence, verdict(nll), figures)


def drivers_finding(arm: Arm, role: str, split: str) -> Finding | None:
    """What drives what remains of the inter-student variance at an arm: response, initialisation, order or residual.

    Arms without sampled responses have no response component, so none is listed.
    """
    whole = arm.component("inter_unbiased", split)
    parts = {name: arm.component(name, split) for name in SOURCES}
    silent = ("response",) if arm.target in ("exact", "one_hot") else ()
    parts = {name: part for name, part in parts.items() if part.known and name not in silent}
    if not whole.estimate > 0.0 or not parts:
        return None
    ranked = sorted(parts, key=lambda name: -parts[name].estimate)
    first = ranked[0]
    rest = [name for name in ranked[1:] if verdict(difference(parts[first], parts[name])) == "no measurable difference"]
    if not parts[first].lower > 0.0:
        title, word = "No source of the remaining variance is measurably above zero", "none"
    elif rest:
        title, word = f"{_capital(listing([first, *rest]))} drive what remains, not told apart", "tied"
    else:
        title, word = f"{_capital(first)} drives what remains", first
    shares = [f"{name} {'causes ' if name == first else ''}{_share(parts[name], whole)}" for name in ranked]
    sentence = (
        f"{title}: of the inter-student variance of {role} ({arm.label()}) on the {split} split, "
        f"{with_interval(whole)}, {listing(shares)}."
    )
    zero = [name for name in ranked if name != first and not parts[name].lower > 0.0]
    if zero and word != "none":
        sentence += f" Not measurably above zero: {listing(zero)}."
    figures: dict[str, object] = {name: part.as_json() for name, part in {"inter_unbiased": whole, **parts}.items()}
    return Finding("sources", title, sentence, word, figures)


def _between(first: Arm, second: Arm, metric: str, split: str) -> Estimate:
    return difference(first.metric(metric, split), second.metric(metric, split))


def _share(part: Estimate, whole: Estimate) -> str:
    return f"{percent(part.estimate / whole.estimate, 0)} ({with_interval(part)})"


def gap_text(change: Estimate, noun: str = "") -> str:
    """``0.0120 lower [−0.0200, −0.0040]``: the signed interval of the difference follows the unsigned words."""
    places = decimals(change)
    side = "lower" if change.estimate < 0.0 else "higher"
    name = f"{METRIC_NAMES.get(noun, noun)} " if noun else ""
    return (
        f"{name}{number(abs(change.estimate), places)} {side} "
        f"[{number(change.lower, places)}, {number(change.upper, places)}]"
    )


def points_text(change: Estimate) -> str:
    """``0.45 points higher [0.10, 0.80]``, for a difference of shares."""
    side = "lower" if change.estimate < 0.0 else "higher"
    low, high = (number(100.0 * bound, 2) for bound in change[1:])
    return f"{number(abs(100.0 * change.estimate), 2)} points {side} [{low}, {high}]"


def _count_interval(budget: Budget) -> str:
    return f"[{number(budget.recommended.lower, 0)}, {number(budget.recommended.upper, 0)}]"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
