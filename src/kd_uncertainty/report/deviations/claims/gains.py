"""Claims on gains: do distilled students gain, and do those that deviate more gain more?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.deviations.arms import Arm, judged, teacher_name
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.rules import direction, sides
from kd_uncertainty.report.wording import with_bounds, with_interval

SECTION = "gains"
COLUMNS = ("arms", "split", "statistic", "group", "correlation")
STATISTIC, PLACE = "slope_low_quartile", "train"
"""The deviation that is judged, where the paper measures it."""
GROUPS = {"student": "itself", "difference": "above the control"}
"""Arms share their control's luck in the gain and in what lies above it, so that the slope itself stands beside."""
GAINS = "holds if the interval of the gain lies above 0 in every arm; in part if in more than lie below"
PAYS = (
    "holds if the intervals of both rank correlations lie above 0, of the slope itself and of the slope above the "
    "control; in part if more lie above than below"
)
WITHIN = PAYS.replace("both rank correlations lie above 0,", "both rank correlations lie above 0 for every teacher,")
FEW = "arms are few: with six of them a rank correlation has to be nearly 1 to be told from none"


def gain_claims(arms: Sequence[Arm], table: pd.DataFrame) -> list[Claim]:
    """The gain of an interpolating teacher's students, and its correlation with deviations over and within teachers."""
    return [_gain(judged(arms)), _pays(table), _within(table)]


Correlation = tuple[str, str, Estimate, int]
"""Set of arms, group, rank correlation, and number of arms."""


def correlations(table: pd.DataFrame) -> list[Correlation]:
    """Rank correlations of the judged deviation with the gain, where they are known with their intervals."""
    if missing(table, COLUMNS):
        return []
    found = []
    for row in choose(table, split=PLACE, statistic=STATISTIC).to_dict("records"):
        rho = Estimate(row["correlation"], row.get("lower", math.nan), row.get("upper", math.nan))
        if rho.measured and row["group"] in GROUPS:
            found.append((str(row["arms"]), str(row["group"]), rho, int(row.get("num_arms", 0))))
    return found


def _gain(arms: Sequence[Arm]) -> Claim:
    claim = "students of an interpolating teacher are more accurate than the same networks trained on labels alone"
    fails = "labels have no noise: then there is nothing to gain, and hardly anything to deviate from"
    known = [arm for arm in arms if arm.gain("test").measured]
    if not known:
        return Claim(SECTION, "accuracy", claim, rule=GAINS, fails=fails)
    found = sides([arm.gain("test") for arm in known], 0.0)
    shown = known[0]
    texts = "; ".join(
        f"{arm.student}: {with_interval(arm.figure('accuracy', 'test'), percentage=True)}, control "
        f"{with_interval(arm.figure('accuracy', 'test', 'control'), percentage=True)}, teacher "
        f"{with_interval(arm.figure('accuracy', 'test', 'teacher'), percentage=True)}"
        for arm in known
    )
    sentence = f"Test accuracy, {known[0].num_students} seeds, τ = {known[0].temperature:g}. {texts}."
    measured = f"+ {with_interval(shown.gain('test'), percentage=True)} ({shown.student})"
    figures = {arm.label: arm.gain("test").as_json() for arm in known}
    verdict = direction(found.above, found.below, found.count, 1.0)
    return Claim(
        SECTION, "accuracy", claim, measured, shown.gain("test"), GAINS, verdict, sentence, False, figures, fails
    )


def _pays(table: pd.DataFrame) -> Claim:
    claim = "it pays to disobey: arms whose students deviate more from their teacher gain more"
    found = [one for one in correlations(table) if one[0] == "all"]
    return _ranked("pays", claim, PAYS, found, ours=False)


def _within(table: pd.DataFrame) -> Claim:
    claim = "it pays among the students of one teacher as well, where teachers do not differ"
    found = [one for one in correlations(table) if one[0] != "all"]
    return _ranked("pays_within", claim, WITHIN, found, ours=True)


def _ranked(key: str, claim: str, rule: str, found: Sequence[Correlation], *, ours: bool) -> Claim:
    if not found:
        return Claim(SECTION, key, claim, rule=rule, ours=ours, fails=FEW)
    counted = sides([rho for *_, rho, _ in found], 0.0)
    texts = "; ".join(
        f"{'all arms' if arms == 'all' else teacher_name(arms)}, slope {GROUPS[group]}: {with_bounds(rho, 2)} "
        f"({count} arms)"
        for arms, group, rho, count in found
    )
    sentence = f"Rank correlation of the train slope with the gain in test accuracy, bootstrap over arms. {texts}."
    if counted.below and counted.above:
        sentence += " What the control’s luck adds turns the sign, so nothing can be said."
    elif counted.below:
        sentence += " Where it can be told from 0 it is negative: the arms that deviate least gain most."
    _, group, shown, _ = found[0]
    measured = f"rank correlation {with_bounds(shown, 2)} (slope {GROUPS[group]})"
    figures = {f"{arms}, {group}": rho.as_json() for arms, group, rho, _ in found}
    verdict = direction(counted.above, counted.below, counted.count, 1.0)
    return Claim(SECTION, key, claim, measured, shown, rule, verdict, sentence, ours, figures, FEW)
