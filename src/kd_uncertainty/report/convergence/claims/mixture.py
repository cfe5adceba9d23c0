"""Claims on mixed labels: their law, the best mixing, and that it is the inverse-variance rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.convergence.law import Mixture
from kd_uncertainty.report.rules import Verdict, contains, direction, ratio, sides
from kd_uncertainty.report.wording import number, value_text, with_bounds

SECTION = "mixture"
WIDEST = 0.25
"""An interval of λ wider than this tells little."""
BEST = (
    f"holds if for every teacher the interval of the measured minimum contains λ* and is at most {WIDEST:g} wide; in "
    "part if it does so for some, or contains λ* but is wider"
)
SAME = "holds if the measured minimum's interval and that of the inverse-variance weight overlap for every teacher"
BOTH = "holds if the intervals of both ratios lie below 1 for nearly every teacher"
DEPENDENT = (
    "the teacher's errors depend on the label, as those of a teacher that learnt it by heart do, or are biased: the "
    "law wants independent, unbiased labels"
)


def mixture_claims(mixtures: Sequence[Mixture], confidence: float) -> list[Claim]:
    """The law of the noise, the measured minimum against λ*, against the inverse-variance weight, and what it gains."""
    pairs = [pair for one in mixtures for pair in zip(one.noise, one.predicted_noise, strict=True)]
    law = "mixed labels have the gradient noise (1 − λ)² σ₁ + λ² σₜ at every λ"
    found = law_claim((SECTION, "law", law), pairs, confidence, "teacher and λ", ours=True)
    known = [one for one in mixtures if one.minimum.measured and not math.isnan(one.predicted)]
    return [
        replace(found, fails=DEPENDENT),
        _minimum(known),
        _inverse_variance(known),
        _gain(mixtures, confidence),
    ]


def _minimum(mixtures: Sequence[Mixture]) -> Claim:
    claim = "SGD stays nearest to the optimum at λ* = σ₁ / (σ₁ + σₜ)"
    if not mixtures:
        return Claim(SECTION, "minimum", claim, rule=BEST, ours=True, fails=DEPENDENT)
    inside = [contains(one.minimum, one.predicted) for one in mixtures]
    narrow = [one.minimum.upper - one.minimum.lower <= WIDEST for one in mixtures]
    sure = [contained and sharp for contained, sharp in zip(inside, narrow, strict=True)]
    verdict: Verdict = "holds" if all(sure) else "holds in part" if any(inside) else "does not hold"
    texts = "; ".join(
        f"{with_bounds(one.minimum, 2)} for {one.label}, where λ* = {number(one.predicted)}{_dirichlet(one)}"
        for one in mixtures
    )
    sentence = f"The least plateau lies at λ = {texts}."
    shown = mixtures[0]
    figures = {
        one.label: {"lambda_star": one.predicted, "minimum": one.minimum.as_json(), "tied": one.tied}
        for one in mixtures
    }
    measured = f"λ = {with_bounds(shown.minimum, 2)}, λ* = {number(shown.predicted)}"
    return Claim(SECTION, "minimum", claim, measured, shown.minimum, BEST, verdict, sentence, True, figures, DEPENDENT)


def _dirichlet(one: Mixture) -> str:
    if one.key.arm != "dirichlet":
        return ""
    level = one.key.level
    return " = (1 + a)/(2 + a)" if abs(one.predicted - (1.0 + level) / (2.0 + level)) < 1e-6 else ""


def _inverse_variance(mixtures: Sequence[Mixture]) -> Claim:
    claim = "the best mixing is the weight that the inverse-variance rule gives the teacher"
    known = [one for one in mixtures if one.inverse_variance.measured]
    if not known:
        return Claim(SECTION, "inverse_variance", claim, rule=SAME, ours=True, fails=DEPENDENT)
    agree = [
        one.minimum.lower <= one.inverse_variance.upper and one.inverse_variance.lower <= one.minimum.upper
        for one in known
    ]
    verdict: Verdict = "holds" if all(agree) else "holds in part" if any(agree) else "does not hold"
    texts = "; ".join(
        f"{with_bounds(one.minimum, 2)} against {with_bounds(one.inverse_variance, 3)} ({one.label})" for one in known
    )
    sentence = (
        "The λ of the least measured plateau against the weight (1/σₜ)/(1/σ₁ + 1/σₜ) from the gradient noises measured "
        f"at λ = 0 and 1: {texts}."
    )
    shown = known[0]
    measured = f"λ = {with_bounds(shown.minimum, 2)}, weight {with_bounds(shown.inverse_variance, 3)}"
    figures = {one.label: one.inverse_variance.as_json() for one in known}
    return Claim(
        SECTION, "inverse_variance", claim, measured, shown.minimum, SAME, verdict, sentence, True, figures, DEPENDENT
    )


def gains(mixture: Mixture) -> tuple[Estimate, Estimate]:
    """The plateau at the measured λ nearest to λ* over that of one-hot labels and over that of the teacher alone."""
    there = mixture.at(mixture.nearest)
    return ratio(there, mixture.at(0.0)), ratio(there, mixture.at(1.0))


def _gain(mixtures: Sequence[Mixture], confidence: float) -> Claim:
    claim = "mixing at λ* leaves SGD nearer to the optimum than either kind of labels alone"
    known = [(one, *gains(one)) for one in mixtures if one.nearest not in (0.0, 1.0)]
    known = [(one, first, second) for one, first, second in known if first.measured and second.measured]
    found = sides([max(first, second, key=lambda value: value.upper) for _, first, second in known])
    if not known:
        return Claim(SECTION, "gain", claim, rule=BOTH, ours=True, fails=DEPENDENT)
    texts = "; ".join(
        f"× {with_bounds(first, 3)} of one-hot's and × {with_bounds(second, 3)} of the teacher's ({one.label}, "
        f"λ = {value_text(one.nearest, 2)})"
        for one, first, second in known
    )
    sentence = f"The plateau is {texts}. The intervals take the runs as independent, so they err wide."
    _, first, second = known[0]
    verdict = direction(found.below, found.above, found.count, confidence)
    measured = f"× {with_bounds(first, 3)} one-hot, × {with_bounds(second, 3)} teacher"
    figures = {"below": found.below, "above": found.above, "count": found.count}
    return Claim(SECTION, "gain", claim, measured, second, BOTH, verdict, sentence, True, figures, DEPENDENT)
