"""Claims on networks: the order of the kinds of labels in accuracy and, reversed, in convergence noise."""

from __future__ import annotations

import math
from collections.abc import Sequence

from scipy import stats

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.convergence.arms import NOISE_NAMES, NetworkArm
from kd_uncertainty.report.rules import MONOTONE, Trend, direction, ratio, sides
from kd_uncertainty.report.wording import listing, metric_with_interval, with_bounds

SECTION = "networks"
SPLIT = "test"
LADDER = ("one_hot", "dirichlet", "exact")
RISES = (
    "holds if exact labels' ratio to one-hot's, paired over seeds, has an interval above 1 and the rank correlation "
    f"over the kinds of labels is at least {MONOTONE:g}; in part if only the interval lies above 1"
)
FALLS = RISES.replace("above 1", "below 1").replace(f"at least {MONOTONE:g}", f"at most −{MONOTONE:g}")
CALMER = (
    "holds if the ratio's interval lies below 1 by every definition of noise for every such pair; in part if by more "
    "than lie above"
)
HEADROOM = "one-hot labels are nearly certain already, or training is too short to reach the neighbourhood"


def network_claims(arms: Sequence[NetworkArm]) -> list[Claim]:
    """Accuracy rises from one-hot over Dirichlet(a P) by a to exact labels; every definition of noise falls."""
    ladder = sorted(
        (arm for arm in arms if arm.key.arm in LADDER and (arm.key.arm != "dirichlet" or arm.key.mixing == 1.0)),
        key=lambda arm: (LADDER.index(arm.key.arm), arm.key.level),
    )
    claim = f"networks' accuracy rises from {_order(ladder)}"
    found = [_ladder(ladder, "accuracy", claim, rises=True)]
    for noise, name in NOISE_NAMES.items():
        claim = f"their convergence noise ({name}) falls in the same order"
        found.append(_ladder(ladder, noise, claim, rises=False))
    return [*found, _mixed(arms)]


def _order(ladder: Sequence[NetworkArm]) -> str:
    if len(ladder) < 2:
        return "one-hot labels over Dirichlet ones to exact ones"
    return " over ".join(arm.key.label for arm in ladder[:-1]) + f" to {ladder[-1].key.label} labels"


def _ladder(ladder: Sequence[NetworkArm], metric: str, claim: str, *, rises: bool) -> Claim:
    rule = RISES if rises else FALLS
    key = "accuracy_order" if rises else f"{metric}_order"
    known = [(arm, _value(arm, metric)) for arm in ladder]
    known = [(arm, value) for arm, value in known if value.known]
    kinds = [arm.key.arm for arm, _ in known]
    change = _change(known[-1][0], metric) if known and kinds[-1] == "exact" else NO_ESTIMATE
    if len(known) < 3 or kinds[0] != "one_hot" or not change.measured:
        return Claim(SECTION, key, claim, rule=rule, fails=HEADROOM)
    heights = [value.estimate for _, value in known]
    level = min(heights) == max(heights)
    rho = 0.0 if level else float(stats.spearmanr(range(len(heights)), heights).statistic)
    found = Trend(rho, change, len(known))
    seeds = min(arm.num_seeds for arm, _ in known)
    if rises:
        texts = (f"{metric_with_interval(metric, value)} ({arm.key.label})" for arm, value in known)
        sentence = f"Means over {seeds} seeds, test split: {listing(texts)}."
    else:
        texts = (f"× {with_bounds(arm.noise_ratio(metric))} ({arm.key.label})" for arm, _ in known[1:])
        sentence = f"Over that of one-hot labels, {seeds} seeds: {listing(texts)}."
    figures = {"spearman": rho, "num_arms": len(known)}
    verdict = found.verdict(rises=rises)
    return Claim(SECTION, key, claim, found.text(), change, rule, verdict, sentence, False, figures, HEADROOM)


def _value(arm: NetworkArm, metric: str) -> Estimate:
    return arm.metric(metric, SPLIT) if metric not in NOISE_NAMES else arm.noise(metric)


def _change(arm: NetworkArm, metric: str) -> Estimate:
    found = arm.ratio(metric, SPLIT) if metric not in NOISE_NAMES else arm.noise_ratio(metric)
    return found if not math.isnan(found.estimate) else NO_ESTIMATE


def _mixed(arms: Sequence[NetworkArm]) -> Claim:
    """Mixed Dirichlet labels beside the same labels alone, by all definitions of noise."""
    claim = "networks too are calmer on Dirichlet labels mixed with one-hot ones than on the Dirichlet labels alone"
    fails = "λ is far from λ*, or training is too short to reach the neighbourhood"
    alone = {arm.key.level: arm for arm in arms if arm.key.arm == "dirichlet" and arm.key.mixing == 1.0}
    pairs = [
        (arm, noise, ratio(arm.noise(noise), alone[arm.key.level].noise(noise)))
        for arm in arms
        if arm.key.arm == "dirichlet" and arm.key.mixing < 1.0 and arm.key.level in alone
        for noise in NOISE_NAMES
    ]
    pairs = [(arm, noise, value) for arm, noise, value in pairs if value.measured]
    if not pairs:
        return Claim(SECTION, "mixed", claim, rule=CALMER, ours=True, fails=fails)
    found = sides([value for *_, value in pairs])
    arm, noise, shown = pairs[0]
    texts = []
    for label in dict.fromkeys(arm.key.label for arm, *_ in pairs):
        own = [f"{NOISE_NAMES[noise]} × {with_bounds(value)}" for arm, noise, value in pairs if arm.key.label == label]
        texts.append(f"{label}: {'; '.join(own)}")
    sentence = f"The ratio of the two, {'. '.join(texts)}. The intervals take the two as independent, so they err wide."
    figures = {"below": found.below, "above": found.above, "count": found.count}
    measured = f"× {with_bounds(shown)} ({NOISE_NAMES[noise]}, {arm.key.label})"
    verdict = direction(found.below, found.above, found.count, 1.0)
    return Claim(SECTION, "mixed", claim, measured, shown, CALMER, verdict, sentence, True, figures, fails)
