"""Sentences of the recommendation of the regression study: every word follows from a figure with its interval."""

from __future__ import annotations

from collections.abc import Sequence

from kd_uncertainty.report.comparison import Estimate, difference, verdict
from kd_uncertainty.report.findings import Finding
from kd_uncertainty.report.regression.arms import RegressionArm
from kd_uncertainty.report.wording import SOURCE_NAMES, SOURCES, listing, percent, plural, value_text, with_bounds


def choice_finding(choice: RegressionArm, split: str) -> Finding:
    """Which model, target and k to choose: by validation MSE, with the other split only reported."""
    mse, shown = choice.metric("mse", "validation"), choice.metric("mse", split)
    title = f"Train {choice.model} students on {choice.named()}"
    sentence = f"{title}: their validation MSE, {with_bounds(mse)}"
    sentence += f" over {plural(choice.num_students, 'student')}" if choice.num_students > 1 else ""
    sentence += ", has the lowest upper end of all arms."
    if split != "validation":
        sentence += f" On the {split} split, which played no part in the choice, it is {with_bounds(shown)}."
    figures: dict[str, object] = {**choice.keys(), "validation_mse": mse.as_json(), f"{split}_mse": shown.as_json()}
    return Finding("choice", title, sentence, figures=figures)


def sure(arm: RegressionArm) -> Estimate:
    """The validation MSE; a single linear student is the same in every repetition, so its interval is a point."""
    value = arm.metric("mse", "validation")
    alone = arm.model == "linear" and not arm.component("inter_unbiased", "validation").estimate > 0.0
    return Estimate(value.estimate, value.estimate, value.estimate) if alone and not value.measured else value


def rivals_finding(choice: RegressionArm, arms: Sequence[RegressionArm]) -> Finding:
    """How many arms the measurement cannot tell apart from the choice."""
    others = [arm for arm in arms if arm.arm != choice.arm and arm.metric("mse", "validation").known]
    gaps = [difference(sure(arm), sure(choice)) for arm in others]
    tied = [arm for arm, gap in zip(others, gaps, strict=True) if verdict(gap) == "no measurable difference"]
    title = f"{len(tied)} of the {plural(len(others), 'other arm')} cannot be told apart from the choice"
    sentence = f"{title} by validation MSE (the interval of the difference covers zero)."
    return Finding("rivals", title, sentence, "tied" if tied else "clear", {"tied": [arm.arm for arm in tied]})


def control_finding(distilled: RegressionArm, control: RegressionArm) -> Finding:
    """Whether distillation beats training on the data's own targets, for one model, over students."""
    change = difference(sure(distilled), sure(control))
    words = {
        "lower": "Distillation beats training on ground truth",
        "higher": "Distillation loses to training on ground truth",
        "no measurable difference": "Distillation is not measurably different from training on ground truth",
    }
    word = verdict(change)
    title = f"{words[word]} for {distilled.model} students"
    side = "lower" if change.estimate < 0.0 else "higher"
    sentence = (
        f"{title}: the best distilled arm ({distilled.label()}, {distilled.teacher} teacher) has a validation MSE "
        f"{value_text(abs(change.estimate))} {side}{_bounds(change)}."
    )
    if change.lower == change.upper:
        sentence += " Nothing is random in either, so it is the same in every repetition on these examples."
    return Finding("control", title, sentence, word, {"validation_mse_difference": change.as_json()})


def drivers_finding(arm: RegressionArm, split: str) -> Finding | None:
    """Which source causes most of the variance between students of an arm."""
    whole = arm.component("inter_unbiased", split)
    parts = {name: arm.component(name, split) for name in SOURCES}
    parts = {name: part for name, part in parts.items() if part.known}
    if not whole.estimate > 0.0 or not parts:
        return None
    ranked = sorted(parts, key=lambda name: -parts[name].estimate)
    shares = [
        f"{name} {percent(parts[name].estimate / whole.estimate, 0)} ({with_bounds(parts[name])})" for name in ranked
    ]
    title = f"{SOURCE_NAMES[ranked[0]].capitalize()} causes most of the variance between {arm.model} students"
    sentence = f"{title} on {arm.named()}: of {with_bounds(whole)} on the {split} split, {listing(shares)}."
    figures: dict[str, object] = {name: part.as_json() for name, part in parts.items()}
    return Finding("sources", title, sentence, ranked[0], figures)


def _bounds(value: Estimate) -> str:
    bounds = with_bounds(value).partition(" ")[2]
    return f" {bounds}" if bounds and value.lower != value.upper else ""
