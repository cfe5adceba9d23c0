"""Sentences of the deviations report's advice: every word follows from a figure with its interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kd_uncertainty.report.comparison import Estimate, as_estimate, difference, verdict
from kd_uncertainty.report.deviations.arms import EARLY_STOPPED, Arm, judged, teacher_name
from kd_uncertainty.report.deviations.claims.gains import GROUPS
from kd_uncertainty.report.deviations.claims.switching import cells
from kd_uncertainty.report.deviations.schedules import METRICS, Schedule, candidates, find
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.wording import (
    METRIC_NAMES,
    listing,
    metric_with_interval,
    percent,
    plural,
    with_bounds,
    with_interval,
)

Claims = Mapping[str, Mapping[str, Any]]
"""Claims as JSON by key."""


def choice_finding(choice: Schedule, schedules: Sequence[Schedule], split: str) -> Finding:
    """What to do: distil all the way, switch, or stop early; by validation NLL."""
    nll = choice.value("nll", "validation")
    title = {
        "one_hot": "Train on the labels alone",
        "equal_progress": f"Train on the labels alone and stop early, at {percent(choice.switch, 0)} of training",
        "distillation": f"Distil from the {teacher_name(choice.teacher)} teacher to the end",
        "to_distillation": (
            f"Start on the labels and switch to the {teacher_name(choice.teacher)} teacher after "
            f"{percent(choice.switch, 0)} of training"
        ),
        "to_one_hot": (
            f"Distil from the {teacher_name(choice.teacher)} teacher and switch to the labels after "
            f"{percent(choice.switch, 0)} of training"
        ),
    }.get(choice.schedule, f"Choose {choice.label}")
    sentence = (
        f"{title}: of all schedules this has the lowest upper end of the validation NLL, {with_bounds(nll)} over "
        f"{plural(choice.num_students, 'seed')}. On the {split} split, which played no part in the choice, students "
        f"reach {_quality(choice, split)}"
    )
    others = [("labels alone", find(schedules, choice.teacher, "one_hot"))]
    others += [
        (f"the {teacher_name(choice.teacher)} teacher to the end", find(schedules, choice.teacher, "distillation"))
    ]
    texts = [f"{_quality(one, split)} with {name}" for name, one in others if one is not None and one is not choice]
    sentence += f", against {listing(texts)}." if texts else "."
    simpler = find(schedules, choice.teacher, "distillation")
    if simpler is not None and choice.schedule in ("to_distillation", "to_one_hot") and _tied(simpler, choice):
        sentence += " Distilling to the end cannot be told apart from it by validation NLL, and needs no switch."
    figures: dict[str, object] = {"schedule": choice.label, "validation_nll": nll.as_json()}
    return Finding("choice", title, sentence, figures=figures)


def _quality(one: Schedule, split: str) -> str:
    accuracy, nll = one.value("accuracy", split), one.value("nll", split)
    return f"accuracy {metric_with_interval('accuracy', accuracy)} and NLL {with_bounds(nll)}"


def _tied(one: Schedule, choice: Schedule) -> bool:
    gap = difference(one.value("nll", "validation"), choice.value("nll", "validation"))
    return verdict(gap) == "no measurable difference"


def rivals_finding(choice: Schedule, schedules: Sequence[Schedule]) -> Finding:
    """How many of the other schedules the measurement cannot tell apart from the choice."""
    others = [one for one in candidates(schedules) if one is not choice and one.value("nll", "validation").known]
    tied = [one for one in others if _tied(one, choice)]
    title = f"{len(tied)} of the {plural(len(others), 'other schedule')} cannot be told apart from the choice"
    names = f": {'; '.join(one.label for one in tied)}" if tied else ""
    sentence = f"{title} by validation NLL (the interval of the difference covers zero){names}."
    figures: dict[str, object] = {"tied": [one.label for one in tied]}
    return Finding("rivals", title, sentence, "tied" if tied else "clear", figures)


def teacher_finding(choice: Arm, arms: Sequence[Arm], split: str) -> Finding:
    """From which teacher, at which temperature; by the validation accuracy of students of the teacher's own network."""
    title = f"Take the {teacher_name(choice.teacher)} teacher, at temperature {choice.temperature:g}"
    chosen = choice.figure("accuracy", "validation")
    sentence = (
        f"{title}: its students ({choice.student}) have the highest lower end of the validation accuracy, "
        f"{metric_with_interval('accuracy', chosen)} over {plural(choice.num_students, 'seed')}"
    )
    same = [arm for arm in arms if arm.student == choice.student and arm is not choice]
    tied = [arm for arm in same if verdict(difference(arm.figure("accuracy", "validation"), chosen)) != "lower"]
    if tied:
        sentence += (
            f"; not told apart from it: {listing(f'{teacher_name(a.teacher)}, τ = {a.temperature:g}' for a in tied)}"
        )
    texts = [
        f"{metric_with_interval('accuracy', arm.figure('accuracy', split))} from the {teacher_name(arm.teacher)} "
        f"teacher at τ = {arm.temperature:g}"
        for arm in (choice, *same)
        if arm.figure("accuracy", split).known
    ]
    sentence += f". On the {split} split: {listing(texts)}."
    figures: dict[str, object] = {"arm": choice.label, "validation_accuracy": chosen.as_json()}
    return Finding("teacher", title, sentence, figures=figures)


def pays_finding(claims: Claims) -> Finding | None:
    """Whether deviating goes with gaining."""
    pays = claims.get("pays")
    if not pays or pays["verdict"] == "not measured":
        return None
    rho = [as_estimate(value) for value in pays["figures"].values()]
    below, above = sum(one.upper < 0.0 for one in rho), sum(one.lower > 0.0 for one in rho)
    title = (
        "Disobeying pays here"
        if pays["verdict"] == "holds"
        else "Do not look for students that disobey"
        if below and not above
        else "Do not choose students by how much they deviate"
    )
    words = {name: GROUPS[name.removeprefix("all, ")] for name in pays["figures"]}
    texts = listing(f"{with_bounds(one, 2)} (slope {words[name]})" for name, one in zip(words, rho, strict=True))
    sentence = f"{title}: over all arms the rank correlation of train slope and gain in accuracy is {texts}."
    within = claims.get("pays_within")
    if within and within["verdict"] != "not measured":
        word = "does not hold either" if within["verdict"] == pays["verdict"] == "does not hold" else within["verdict"]
        sentence += f" That it pays among the students of one teacher {word}."
    return Finding("pays", title, sentence, str(pays["verdict"]))


def switch_finding(schedules: Sequence[Schedule], claims: Claims) -> Finding | None:
    """What switching half-way costs, in both directions."""
    late, back = claims.get("late"), cells(schedules, "to_one_hot", 0.5)
    if not late or late["verdict"] == "not measured":
        return None
    found = cells(schedules, "to_distillation", 0.5)
    cheap = late["verdict"] == "holds"
    title = (
        "You may start on the labels and bring in the teacher half-way"
        if cheap
        else "Do not count on bringing in the teacher half-way"
    )
    sentence = (
        f"{title}: that recovers {_span([share for *_, share in found])} of what distillation gains on the test split"
    )
    if back:
        sentence += f", while switching from the teacher to the labels keeps {_span([share for *_, share in back])}"
    return Finding("switch", title, f"{sentence} (by teacher and metric).", str(late["verdict"]))


def _span(shares: Sequence[Estimate]) -> str:
    low, high = min(share.estimate for share in shares), max(share.estimate for share in shares)
    return percent(low, 0) if low == high else f"{percent(low, 0)} to {percent(high, 0)}"


def early_finding(schedules: Sequence[Schedule], arms: Sequence[Arm]) -> Finding | None:
    """How much of the gain stopping early has without any distillation."""
    found, early = cells(schedules, "equal_progress"), judged(arms, EARLY_STOPPED)
    shares = {(teacher, metric): share for teacher, metric, _, share in found}
    if not found:
        return None
    most = sum(share.estimate >= 0.5 for share in shares.values())
    title = (
        "Try stopping early first: it is most of the gain"
        if 2 * most > len(shares)
        else "Stopping early does not replace the teacher"
    )
    texts = listing(
        f"{with_interval(share, percentage=True)} ({teacher_name(teacher)}, {METRIC_NAMES[metric]})"
        for (teacher, metric), share in shares.items()
        if metric in METRICS
    )
    sentence = (
        f"{title}. Students of the labels alone, stopped where their training loss is that of the distilled ones, have "
        f"{texts} of distillation’s gain."
    )
    gaps = [(arm, arm.figure("accuracy", "test", "stopped_difference")) for arm in early]
    gaps = [(arm, gap) for arm, gap in gaps if gap.measured]
    if gaps:
        arm, gap = gaps[0]
        sentence += (
            f" The accuracy of the early-stopped teacher’s students ({arm.student}) differs from that of the "
            f"same networks, stopped when it was, by {with_interval(gap, percentage=True)}."
        )
    figures: dict[str, object] = {
        f"{teacher}, {metric}": share.as_json() for (teacher, metric), share in shares.items()
    }
    return Finding("early", title, sentence, figures=figures)


def control_finding(claims: Claims) -> Finding | None:
    """Whether slopes above 1 say anything without their control."""
    train, test = claims.get("train_slope"), claims.get("test_slope")
    if not train or not test or "not measured" in (train["verdict"], test["verdict"]):
        return None
    title = "Put a control beside every slope"
    words = {
        "holds": "clear of it in all arms",
        "holds in part": "clear of it in some arms",
        "does not hold": "not clear of it",
    }
    sentence = (
        f"{title}: students’ exaggeration is {words[train['verdict']]} on training points ({train['measured']}) and "
        f"{words[test['verdict']]} on test points ({test['measured']})."
    )
    return Finding("control", title, sentence, str(train["verdict"]))
