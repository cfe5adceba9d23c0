"""Claims on confidence: do students exaggerate their teacher's, and by more than a network that never saw it?"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import difference
from kd_uncertainty.report.deviations.arms import EARLY_STOPPED, INTERPOLATING, Arm, judged
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import number, percent, with_bounds, with_interval

SECTION = "confidence"
ERRORS = 2.0
"""Standard errors by which students must exceed their control."""
MOST, HALF = 0.8, 0.5
"""Shares of the least sure tenth below the teacher: at least so many students, at most so many controls."""
CLEAR = (
    f"holds if in every arm the interval lies above 1 and students exceed their control by more than {ERRORS:g} "
    "standard errors; in part if in some arm"
)
SHARES = (
    f"holds if in every arm the share is at least {MOST:.0%}, the control's at most {HALF:.0%}, and the interval of "
    "the difference above 0; in part if in some arm, or if only the difference is"
)
NONE = (
    f"holds if in no arm the interval lies above 1 with students more than {ERRORS:g} standard errors above the "
    "control; in part if in less than half of them"
)
ALONE = "holds if the control's own interval lies above 1 in every arm; in part if in some"
HOTTER = "holds if the interval of the difference between highest and lowest temperature lies above 0 for every student"
TEACHER = "the teacher does not fit its training labels, the temperature is near 1, or training is too short"
UNSEEN = "the control is surer or less sure than the teacher for reasons of its own, such as longer training"


def confidence_claims(arms: Sequence[Arm]) -> list[Claim]:
    """Slopes and shares on training and test points, the control alone, temperature, and the early-stopped teacher."""
    own, early = judged(arms), judged(arms, EARLY_STOPPED)
    where = "where the teacher is least sure, students of an interpolating teacher exaggerate its doubts"
    return [
        _exaggeration(
            own, "train_slope", f"on training points, {where} (slope above 1)", "slope_low_quartile", "train"
        ),
        _exaggeration(own, "train_all", "they exaggerate them over all training points together", "slope", "train"),
        _shares(own),
        _exaggeration(
            own,
            "test_slope",
            "they exaggerate them on test points, where the teacher is least sure",
            "slope_low_quartile",
            "test",
        ),
        _control(own),
        _temperature(arms),
        _early(early),
    ]


def exceeds(arm: Arm, statistic: str, split: str) -> bool:
    """Whether a slope is above 1 and clear of the control."""
    return arm.figure(statistic, split).lower > 1.0 and arm.standard_errors(statistic, split) > ERRORS


def in_all(hits: Sequence[bool]) -> Verdict:
    """Holds in all, in part in some, does not hold in none."""
    if not hits:
        return "not measured"
    return "holds" if all(hits) else "holds in part" if any(hits) else "does not hold"


def _known(arms: Sequence[Arm], statistic: str, split: str) -> list[Arm]:
    return [
        arm
        for arm in arms
        if arm.figure(statistic, split).measured and not math.isnan(arm.standard_errors(statistic, split))
    ]


def _beside(arm: Arm, statistic: str, split: str) -> str:
    """``self: 1.49 [1.40, 1.58], control 0.99 [0.90, 1.05], 8.1 standard errors apart``."""
    pair = with_bounds(arm.figure(statistic, split), 2), with_bounds(arm.beside(statistic, split), 2)
    return (
        f"{arm.student}: {pair[0]}, control {pair[1]} ({number(arm.standard_errors(statistic, split), 1)} s.e. apart)"
    )


def _texts(arms: Sequence[Arm], statistic: str, split: str) -> str:
    head = f"{arms[0].num_students} seeds, τ = {arms[0].temperature:g}. "
    return head + "; ".join(_beside(arm, statistic, split) for arm in arms) + "."


def _json(arms: Sequence[Arm], statistic: str, split: str) -> dict[str, object]:
    return {
        arm.label: {
            "student": arm.figure(statistic, split).as_json(),
            "control": arm.beside(statistic, split).as_json(),
            "standard_errors": arm.standard_errors(statistic, split),
        }
        for arm in arms
    }


def _measured(arm: Arm, statistic: str, split: str) -> str:
    control = with_bounds(arm.beside(statistic, split), 2)
    return f"{arm.student} {with_bounds(arm.figure(statistic, split), 2)}, control {control}"


def _exaggeration(arms: Sequence[Arm], key: str, claim: str, statistic: str, split: str) -> Claim:
    arms = _known(arms, statistic, split)
    if not arms:
        return Claim(SECTION, key, claim, rule=CLEAR, fails=TEACHER)
    hits = [exceeds(arm, statistic, split) for arm in arms]
    shown = arms[0]
    sentence = f"The slope, {_texts(arms, statistic, split)} Clear of the control in {sum(hits)} of {len(arms)} arms."
    fails = TEACHER if split == "train" else f"labels have noise that the teacher has learnt by heart; {TEACHER}"
    return Claim(
        SECTION,
        key,
        claim,
        _measured(shown, statistic, split),
        shown.figure(statistic, split),
        CLEAR,
        in_all(hits),
        sentence,
        False,
        _json(arms, statistic, split),
        fails,
    )


def _shares(arms: Sequence[Arm]) -> Claim:
    statistic, split = "low_decile_below", "train"
    claim = "in the tenth of the training points where the teacher is least sure, most students are less sure still"
    fails = f"{TEACHER}; a student too small to fit the labels lies below the teacher without having seen it"
    arms = _known(arms, statistic, split)
    if not arms:
        return Claim(SECTION, "train_share", claim, rule=SHARES, fails=fails)
    apart = [arm.difference(statistic, split).lower > 0.0 for arm in arms]
    hits = [
        one and arm.figure(statistic, split).estimate >= MOST and arm.beside(statistic, split).estimate <= HALF
        for one, arm in zip(apart, arms, strict=True)
    ]
    verdict = in_all(hits) if any(hits) else "holds in part" if all(apart) else "does not hold"
    texts = (
        f"{arm.student}: {with_interval(arm.figure(statistic, split), percentage=True)}, control "
        f"{with_interval(arm.beside(statistic, split), percentage=True)}"
        for arm in arms
    )
    sentence = (
        f"The share below the teacher, {arms[0].num_students} seeds, τ = {arms[0].temperature:g}. {'; '.join(texts)}."
    )
    shown = arms[0]
    measured = (
        f"{shown.student} {with_interval(shown.figure(statistic, split), percentage=True)}, control "
        f"{percent(shown.beside(statistic, split).estimate)}"
    )
    figure, figures = shown.figure(statistic, split), _json(arms, statistic, split)
    return Claim(SECTION, "train_share", claim, measured, figure, SHARES, verdict, sentence, False, figures, fails)


def _control(arms: Sequence[Arm]) -> Claim:
    """Whether a slope above 1 says anything by itself."""
    claim = (
        "on test points a network that never saw the teacher has a slope above 1 as well, so that alone shows nothing"
    )
    statistic, split = "slope_low_quartile", "test"
    arms = [arm for arm in arms if arm.beside(statistic, split).measured]
    if not arms:
        return Claim(SECTION, "test_control", claim, rule=ALONE, ours=True, fails=UNSEEN)
    hits = [arm.beside(statistic, split).lower > 1.0 for arm in arms]
    texts = "; ".join(f"{arm.student} {with_bounds(arm.beside(statistic, split), 2)}" for arm in arms)
    sentence = f"The control's slope in the least sure quarter of the test points: {texts}."
    shown = arms[0].beside(statistic, split)
    figures = {arm.label: arm.beside(statistic, split).as_json() for arm in arms}
    return Claim(
        SECTION,
        "test_control",
        claim,
        f"{with_bounds(shown, 2)} ({arms[0].student})",
        shown,
        ALONE,
        in_all(hits),
        sentence,
        True,
        figures,
        UNSEEN,
    )


def _temperature(arms: Sequence[Arm]) -> Claim:
    claim = "the exaggeration on training points grows with the temperature"
    fails = "the teacher's probabilities are soft already, or students train too short to copy them"
    statistic, split = "slope_low_quartile", "train"
    own = [arm for arm in arms if arm.teacher == INTERPOLATING and arm.figure(statistic, split).measured]
    pairs = []
    for student in dict.fromkeys(arm.student for arm in own):
        ends = sorted((arm for arm in own if arm.student == student), key=lambda arm: arm.temperature)
        if len(ends) > 1:
            pairs.append((ends[0], ends[-1]))
    if not pairs:
        return Claim(SECTION, "temperature", claim, rule=HOTTER, ours=True, fails=fails)
    gaps = [difference(hot.figure(statistic, split), cold.figure(statistic, split)) for cold, hot in pairs]
    cold, hot = pairs[0]
    texts = "; ".join(
        f"{hot.student} {with_bounds(hot.figure(statistic, split), 2)} against "
        f"{with_bounds(cold.figure(statistic, split), 2)}"
        for cold, hot in pairs
    )
    sentence = (
        f"The slope at τ = {hot.temperature:g} against τ = {cold.temperature:g}: {texts}. The intervals of the "
        "differences take the two as independent, so they err wide."
    )
    measured = f"+ {with_bounds(gaps[0], 2)} from τ = {cold.temperature:g} to {hot.temperature:g} ({hot.student})"
    figures = {hot.student: gap.as_json() for (_, hot), gap in zip(pairs, gaps, strict=True)}
    verdict = in_all([gap.lower > 0.0 for gap in gaps])
    return Claim(SECTION, "temperature", claim, measured, gaps[0], HOTTER, verdict, sentence, True, figures, fails)


def _early(arms: Sequence[Arm]) -> Claim:
    statistic, split = "slope_low_quartile", "train"
    claim = "students of a teacher that stopped before it fitted its labels do not exaggerate"
    fails = "the teacher stopped late, when it had fitted most of its labels"
    arms = _known(arms, statistic, split)
    if not arms:
        return Claim(SECTION, "early_stopped", claim, rule=NONE, ours=True, fails=fails)
    hits = [exceeds(arm, statistic, split) for arm in arms]
    verdict: Verdict = "holds" if not any(hits) else "holds in part" if 2 * sum(hits) < len(hits) else "does not hold"
    kept = arms[0].figure(statistic, split, "control")
    sentence = (
        f"The slope beside a control that stopped with the teacher, {_texts(arms, statistic, split)} A control that "
        f"trains on has {with_bounds(kept, 2)} ({arms[0].student}) for that reason alone."
    )
    return Claim(
        SECTION,
        "early_stopped",
        claim,
        _measured(arms[0], statistic, split),
        arms[0].figure(statistic, split),
        NONE,
        verdict,
        sentence,
        True,
        _json(arms, statistic, split),
        fails,
    )
