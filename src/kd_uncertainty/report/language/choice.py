"""Which method and how many responses: the steadiest students among those that are not measurably worse.

The choice rests on the prompts that students were trained on, whose references they never see; held-out prompts are
only reported.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kd_uncertainty.report.comparison import Estimate, difference, verdict
from kd_uncertainty.report.language.arms import TRAIN, Arm, Study

GUARDS = ("accuracy", "keeps_modal")
"""What must not suffer; the second where there are no references."""
SPACES = ("embedding", "answers")


def space_of(study: Study) -> str:
    """The space in which arms are compared."""
    found = study.spaces()
    return next((space for space in SPACES if space in found), SPACES[0])


def guard_of(study: Study) -> str | None:
    """The metric that must not suffer; None where neither was measured."""
    return next((name for name in GUARDS if any(arm.metric(name, TRAIN).known for arm in study.arms)), None)


def inter(study: Study, arm: Arm) -> Estimate:
    """The inter-student variance that decides."""
    return arm.component("inter", TRAIN, space_of(study))


def eligible(study: Study) -> list[Arm]:
    """The arms whose inter-student variance is known and whose guard is not measurably below the best one's."""
    guard = guard_of(study)
    found = [arm for arm in study.arms if inter(study, arm).known]
    scores = [arm.metric(guard, TRAIN) for arm in found] if guard else []
    if not any(score.known for score in scores):
        return found
    best = max((score for score in scores if score.known), key=lambda score: score.estimate)
    return [
        arm
        for arm, score in zip(found, scores, strict=True)
        if score.known and (score is best or verdict(difference(score, best)) != "lower")
    ]


def best(study: Study) -> Arm | None:
    """The eligible arm whose inter-student variance is surely lowest: by the upper end of its interval."""
    return min(eligible(study), key=lambda arm: _pessimistic(inter(study, arm)), default=None)


def enough(study: Study, choice: Arm) -> Arm:
    """The fewest responses of the chosen method that cannot be told from the choice by inter-student variance."""
    same = [arm for arm in eligible(study) if arm.method == choice.method and arm.num_responses <= choice.num_responses]
    return next((arm for arm in same if arm in tied(study, choice, same)), choice)


def tied(study: Study, choice: Arm, arms: Sequence[Arm]) -> list[Arm]:
    """The arms among these that are not measurably less steady than the choice."""
    own = inter(study, choice)
    return [arm for arm in arms if arm is not choice and verdict(difference(inter(study, arm), own)) != "higher"]


def _pessimistic(figure: Estimate) -> float:
    return figure.estimate if math.isnan(figure.upper) else figure.upper
