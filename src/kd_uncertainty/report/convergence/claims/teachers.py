"""Claims on real teachers: whether their labels calm training, and what about them tells how good students become."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import permutations

import numpy as np
import pandas as pd
from scipy import stats

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import NOISE_NAMES, NetworkArm
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.rules import Verdict, direction, ratio, sides
from kd_uncertainty.report.wording import number, with_bounds

SECTION = "teachers"
BASELINE = "deterministic"
BELOW = "holds if the ratio's interval lies below 1 by every definition of noise; in part if by more than lie above"
RANKED = 0.5
"""A rank correlation from here on is called one."""
CHANCE = 0.05
FEWEST = 4
"""With three teachers every order has a chance of one in six."""
EXACT_ORDERS = 8
"""Up to so many teachers all their orders are counted."""
TRACKS = (
    f"holds if the rank correlation is at least {RANKED:g} and no more than {CHANCE:.0%} of all orders of the teachers "
    f"reach it; in part if it is at least {RANKED:g}"
)
TRACKS_NOT = (
    f"holds if the rank correlation is below {RANKED:g}; in part if it is not, but more than {CHANCE:.0%} of all "
    "orders of the teachers reach it"
)
MEMORY = (
    "the teacher labels points that it was trained on and has learnt their labels by heart: it is then one-hot itself"
)
FEW = "teachers are few or alike: then chance ranks them"


def teacher_claims(arms: Sequence[NetworkArm], teacher_error: pd.DataFrame, confidence: float) -> list[Claim]:
    """Noise of each teacher's students against one-hot's and the deterministic teacher's; what ranks the students."""
    teachers = [arm for arm in arms if arm.is_teacher and arm.key.mixing == 1.0]
    baseline = next((arm for arm in teachers if arm.key.teacher == BASELINE), None)
    found = []
    others: list[NetworkArm | None] = [arm for arm in teachers if arm is not baseline]
    for arm in others or [None]:
        found += [_against_one_hot(arm, confidence), _against_baseline(arm, baseline, confidence)]
    errors = {arm.key.teacher: arm.metric("target_error", "train") for arm in teachers}
    found.append(_tracks(teachers, errors))
    found.append(_tracks_not(teachers, _teacher_ece(teacher_error)))
    return found


def _teacher_ece(table: pd.DataFrame) -> dict[str, Estimate]:
    if missing(table, ("teacher", "split", "metric", "estimate")):
        return {}
    own = choose(table, split="test", metric="ece")
    return {str(row["teacher"]): estimate_of(row) for row in own.to_dict("records")}


def _against_one_hot(arm: NetworkArm | None, confidence: float) -> Claim:
    named = f"the {arm.key.label}'s labels" if arm else "a Bayesian teacher's labels"
    claim = f"{named} give less convergence noise than one-hot labels"
    return _below(arm, "one_hot", claim, lambda arm, noise: arm.noise_ratio(noise), confidence)


def _against_baseline(arm: NetworkArm | None, baseline: NetworkArm | None, confidence: float) -> Claim:
    named = f"the {arm.key.label}'s labels" if arm else "a Bayesian teacher's labels"
    claim = f"{named} give less convergence noise than the deterministic teacher's"

    def relative(arm: NetworkArm, noise: str) -> Estimate:
        return ratio(arm.noise(noise), baseline.noise(noise)) if baseline else arm.noise("")

    return _below(arm, BASELINE, claim, relative, confidence)


def _below(
    arm: NetworkArm | None,
    other: str,
    claim: str,
    relative: Callable[[NetworkArm, str], Estimate],
    confidence: float,
) -> Claim:
    key = f"{arm.key.teacher if arm else 'bayesian'}_over_{other}"
    ratios = {noise: relative(arm, noise) for noise in NOISE_NAMES} if arm else {}
    ratios = {noise: value for noise, value in ratios.items() if value.measured}
    if not ratios:
        return Claim(SECTION, key, claim, rule=BELOW, fails=MEMORY)
    found = sides(list(ratios.values()))
    shown = next(iter(ratios))
    texts = "; ".join(f"{NOISE_NAMES[noise]} × {with_bounds(value)}" for noise, value in ratios.items())
    note = "" if other == "one_hot" else " These intervals take the two as independent, so they err wide."
    sentence = f"The ratio of the two: {texts}.{note}"
    figures = {noise: value.as_json() for noise, value in ratios.items()}
    verdict = direction(found.below, found.above, found.count, 1.0)
    measured = f"× {with_bounds(ratios[shown])} ({NOISE_NAMES[shown]})"
    return Claim(SECTION, key, claim, measured, ratios[shown], BELOW, verdict, sentence, False, figures, MEMORY)


def rank_correlation(x: Sequence[float], y: Sequence[float]) -> tuple[float, float]:
    """Spearman's rank correlation, and the share of all orders that reach it.

    All n! orders are counted up to `EXACT_ORDERS` points; beyond, Student's t approximation. NaN where either side is
    the same everywhere.
    """
    if len(x) < 2 or min(x) == max(x) or min(y) == max(y):
        return math.nan, math.nan
    first, second = (stats.rankdata(values) - 0.5 * (len(x) + 1) for values in (x, y))
    scale = math.sqrt(float(first @ first) * float(second @ second))
    rho = float(first @ second) / scale
    if len(x) > EXACT_ORDERS:
        return rho, float(stats.spearmanr(x, y, alternative="greater").pvalue)
    reached = np.array(list(permutations(second))) @ first / scale
    return rho, float(np.mean(reached >= rho - 1e-9))


def _ranked(teachers: Sequence[NetworkArm], by: dict[str, Estimate]) -> tuple[int, float, float]:
    """How many teachers are known on both sides, the rank correlation with their students' NLL, and its chance."""
    pairs = [
        (by[arm.key.teacher].estimate, arm.metric("nll", "test").estimate)
        for arm in teachers
        if arm.key.teacher in by and by[arm.key.teacher].known and arm.metric("nll", "test").known
    ]
    if len(pairs) < FEWEST:
        return len(pairs), math.nan, math.nan
    return len(pairs), *rank_correlation([x for x, _ in pairs], [y for _, y in pairs])


def _tracks(teachers: Sequence[NetworkArm], errors: dict[str, Estimate]) -> Claim:
    claim = "students are the better, the nearer their teacher is to the Bayes probabilities on their training points"
    count, rho, chance = _ranked(teachers, errors)
    if math.isnan(rho):
        return Claim(SECTION, "error_tracks", claim, rule=TRACKS, ours=True, fails=FEW)
    high = rho >= RANKED
    verdict: Verdict = "holds" if high and chance <= CHANCE else "holds in part" if high else "does not hold"
    return _correlation(
        "error_tracks", claim, "squared error on the training points", TRACKS, verdict, (count, rho, chance)
    )


def _tracks_not(teachers: Sequence[NetworkArm], ece: dict[str, Estimate]) -> Claim:
    claim = "the teacher's calibration error on test data does not rank the students"
    count, rho, chance = _ranked(teachers, ece)
    if math.isnan(rho):
        return Claim(SECTION, "ece_tracks_not", claim, rule=TRACKS_NOT, ours=True, fails=FEW)
    verdict: Verdict = "holds" if rho < RANKED else "holds in part" if chance > CHANCE else "does not hold"
    return _correlation("ece_tracks_not", claim, "test ECE", TRACKS_NOT, verdict, (count, rho, chance))


def _correlation(
    key: str, claim: str, what: str, rule: str, verdict: Verdict, found: tuple[int, float, float]
) -> Claim:
    count, rho, chance = found
    measured = f"rank correlation {number(rho, 2)}, chance {number(chance, 3)}"
    sentence = (
        f"Rank correlation of the teachers' {what} with their students' test NLL over {count} teachers: "
        f"{number(rho, 2)}; {number(100.0 * chance, 1)}% of all orders reach as much."
    )
    figure = Estimate(rho, math.nan, math.nan)
    figures = {"num_teachers": count, "chance": chance}
    return Claim(SECTION, key, claim, measured, figure, rule, verdict, sentence, True, figures, FEW)
