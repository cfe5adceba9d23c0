"""Claims on switching the loss: late distillation recovers the gain, early distillation loses it, stopping early."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, difference
from kd_uncertainty.report.comparison import verdict as compared
from kd_uncertainty.report.deviations.arms import teacher_name
from kd_uncertainty.report.deviations.claims.confidence import in_all
from kd_uncertainty.report.deviations.schedules import HALF, METRICS, Schedule, find, teachers_of
from kd_uncertainty.report.wording import METRIC_NAMES, listing, with_interval

SECTION = "switching"
SPLIT = "test"
ENOUGH = 0.7
LATE = f"holds if the share of the gain is at least {ENOUGH:.0%} by every metric and teacher; in part if in some cell"
DEPENDS = (
    "holds if the interval of the difference between the teachers' shares excludes 0 by every metric; in part if by one"
)
MORE = "holds if the share's interval lies below 1 by every metric for every teacher; in part if in some cell"
NOISELESS = "labels have no noise: there is then no gain that could be recovered"

Cell = tuple[str, str, Schedule, Estimate]
"""Teacher, metric, schedule and share of the gain."""


def switching_claims(schedules: Sequence[Schedule]) -> list[Claim]:
    """One-hot to distillation, distillation to one-hot by teacher, and one-hot students of equal progress."""
    return [_late(schedules), _reverse(schedules), _equal_progress(schedules)]


def cells(schedules: Sequence[Schedule], kind: str, switch: float | None = None) -> list[Cell]:
    """The shares of the gain that a kind of schedule has, by teacher and metric, where there is a gain."""
    own = [find(schedules, teacher, kind, switch) for teacher in teachers_of(schedules)]
    found = [
        (one.teacher, metric, one, one.recovered(metric, SPLIT)) for one in own if one is not None for metric in METRICS
    ]
    return [cell for cell in found if cell[-1].measured]


def _texts(found: Sequence[Cell]) -> str:
    return "; ".join(
        f"{teacher_name(teacher)}, {METRIC_NAMES[metric]}: {with_interval(share, percentage=True)}"
        for teacher, metric, _, share in found
    )


def _json(found: Sequence[Cell]) -> dict[str, object]:
    return {f"{teacher}, {metric}": share.as_json() for teacher, metric, _, share in found}


def _shown(found: Sequence[Cell]) -> tuple[str, Estimate]:
    teacher, metric, _, share = found[0]
    where = f"{teacher_name(teacher)}, {METRIC_NAMES[metric]}"
    return f"{with_interval(share, percentage=True)} of the gain ({where})", share


def _late(schedules: Sequence[Schedule]) -> Claim:
    claim = "labels first and distillation from the middle of training on recover nearly all of distillation's gain"
    found = cells(schedules, "to_distillation", HALF)
    if not found:
        return Claim(SECTION, "late", claim, rule=LATE, fails=NOISELESS)
    measured, share = _shown(found)
    sure = sum(one.lower >= ENOUGH for *_, one in found)
    sentence = (
        f"Switched at {found[0][2].switch:.0%} of training, test split, {found[0][2].num_students} seeds. "
        f"{_texts(found)}. In {sure} of {len(found)} cells the whole interval is at least {ENOUGH:.0%}."
    )
    verdict = in_all([one.estimate >= ENOUGH for *_, one in found])
    return Claim(SECTION, "late", claim, measured, share, LATE, verdict, sentence, False, _json(found), NOISELESS)


def _reverse(schedules: Sequence[Schedule]) -> Claim:
    claim = "distillation first, labels from the middle on: what is kept depends on whether the teacher interpolates"
    fails = "students go on long enough to fit the labels: then both lose the gain"
    found = cells(schedules, "to_one_hot", HALF)
    teachers = list(dict.fromkeys(teacher for teacher, *_ in found))[:2]
    gaps = {}
    for (first, metric, _, one), (second, other, _, two) in combinations(found, 2):
        if metric == other and [first, second] == teachers:
            gaps[metric] = difference(one, two)
    if not gaps:
        return Claim(SECTION, "reverse", claim, rule=DEPENDS, fails=fails)
    apart = {metric: compared(gap) for metric, gap in gaps.items()}
    texts = listing(
        f"{teacher_name(teachers[0])} minus {teacher_name(teachers[1])} by {METRIC_NAMES[metric]} "
        f"{with_interval(gap, percentage=True)}: {apart[metric]}"
        for metric, gap in gaps.items()
    )
    sentence = (
        f"Kept, test split: {_texts(found)}. The difference, {texts}. The intervals take the two as independent, so "
        "they err wide."
    )
    metric, shown = next(iter(gaps.items()))
    measured = f"difference {with_interval(shown, percentage=True)} ({METRIC_NAMES[metric]})"
    verdict = in_all([word != "no measurable difference" for word in apart.values()])
    return Claim(SECTION, "reverse", claim, measured, shown, DEPENDS, verdict, sentence, False, _json(found), fails)


def _equal_progress(schedules: Sequence[Schedule]) -> Claim:
    claim = "distillation gains more than stopping one-hot training where it has come as far"
    fails = "the teacher passes on nothing but its own early stopping"
    found = cells(schedules, "equal_progress")
    if not found:
        return Claim(SECTION, "equal_progress", claim, rule=MORE, ours=True, fails=fails)
    measured, share = _shown(found)
    stops = {teacher: f"{one.switch:.0%} of training ({teacher_name(teacher)})" for teacher, _, one, _ in found}
    below = sum(one.upper < 1.0 for *_, one in found)
    sentence = (
        "Students of labels alone, stopped where their training loss is that of the distilled ones, at "
        f"{listing(stops.values())}, have of distillation's gain on the test split: {_texts(found)}. That is surely "
        f"less than all of it in {below} of {len(found)} cells."
    )
    verdict = in_all([one.upper < 1.0 for *_, one in found])
    return Claim(SECTION, "equal_progress", claim, measured, share, MORE, verdict, sentence, True, _json(found), fails)
