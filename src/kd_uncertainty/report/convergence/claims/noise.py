"""Claims on gradient noise at the optimum: its closed forms, its absence with exact labels, and who has less of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.convergence.arms import key_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import Verdict, contains, sides
from kd_uncertainty.report.wording import listing, value_text, with_bounds

SECTION = "gradient noise"
EXACT_TO = 0.01
"""A closed form has to be met to this share."""
MACHINE = 1e-10
"""A gradient below this share of the root of one-hot's noise is zero to rounding."""
LAWS = (
    ("one_hot", "of one-hot labels is E[(1 − ‖P‖²)‖x‖²]", False),
    ("additive", "of P + e with variance ν is ν E[(K − 2 + K‖P‖²)‖x‖²]", False),
    ("dirichlet", "of labels drawn from Dirichlet(a P) is that of one-hot labels over 1 + a", True),
    ("mixture", "of mixed labels is (1 − λ)² σ₁ + λ² σₜ", True),
)
CLOSED = (
    f"holds if every figure is within {EXACT_TO:.0%} of the closed form; in part if some are not, but most "
    "intervals contain it"
)
ZERO = f"holds if no single example's gradient exceeds {MACHINE:g} of the root of one-hot's noise"
SIDES = "holds if the intervals of all noises lie on the side of one-hot's that ν* says; in part if more do than not"
REALISABLE = "the student cannot express P: then no parameters make every gradient vanish in the mean"


def noise_claims(table: pd.DataFrame) -> list[Claim]:
    """Four closed forms, interpolation with exact probabilities, and the break-even of additive noise."""
    needed = ("arm", "closed_form", "monte_carlo", "ratio")
    rows: list[dict[Any, Any]] = [] if missing(table, needed) else table.to_dict("records")
    found = [_closed_form(rows, arm, law, ours=ours) for arm, law, ours in LAWS]
    return [*found, _interpolation(rows), _break_even(rows)]


def _closed_form(rows: Sequence[dict[Any, Any]], arm: str, law: str, *, ours: bool) -> Claim:
    claim, key = f"the gradient noise {law}", f"{arm}_closed_form"
    values = [estimate_of(row, "ratio") for row in rows if row["arm"] == arm]
    values = [value for value in values if value.measured]
    if not values:
        return Claim(SECTION, key, claim, rule=CLOSED, ours=ours, fails=REALISABLE)
    close = sum(abs(value.estimate - 1.0) <= EXACT_TO for value in values)
    inside = sum(contains(value, 1.0) for value in values)
    verdict: Verdict = "holds"
    if close < len(values):
        # Intervals alone never make it hold: they may be wide.
        verdict = "holds in part" if 2 * inside > len(values) else "does not hold"
    farthest = max(values, key=lambda value: abs(value.estimate - 1.0))
    which = "" if len(values) == 1 else f"Of {len(values)} levels the one farthest from it: "
    sentence = f"{which}measured over closed form {with_bounds(farthest)}".capitalize()
    sentence += f"; {inside} of {len(values)} intervals contain 1."
    figures = {"close": close, "inside": inside, "count": len(values)}
    measured = f"measured / closed form: {with_bounds(farthest)}"
    return Claim(SECTION, key, claim, measured, farthest, CLOSED, verdict, sentence, ours, figures, REALISABLE)


def _interpolation(rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = "with exact probabilities the gradient vanishes at the optimum for every single example"
    fails = "probabilities are estimated: any error brings the noise back"
    gradients = [float(row.get("largest_gradient", math.nan)) for row in rows if row["arm"] == "exact"]
    noises = [float(row["closed_form"]) for row in rows if row["arm"] == "one_hot"]
    if not gradients or not noises or math.isnan(gradients[0]) or not noises[0] > 0.0:
        return Claim(SECTION, "interpolation", claim, rule=ZERO, fails=fails)
    largest, typical = gradients[0], math.sqrt(noises[0])
    verdict: Verdict = "holds" if largest <= MACHINE * typical else "does not hold"
    figure = Estimate(largest, math.nan, math.nan)
    sentence = (
        f"The largest gradient of a single example has norm {value_text(largest)}; with one-hot labels their root mean "
        f"square is {value_text(typical)}."
    )
    measured = f"largest gradient {value_text(largest)}"
    return Claim(SECTION, "interpolation", claim, measured, figure, ZERO, verdict, sentence, fails=fails)


def _break_even(rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = "noisy probabilities have less gradient noise than one-hot labels exactly where ν < ν*"
    fails = "noise depends on the example: then each example has a break-even of its own"
    one_hot = [float(row["closed_form"]) for row in rows if row["arm"] == "one_hot"]
    additive = [row for row in rows if row["arm"] == "additive" and not math.isnan(float(row.get("break_even", "nan")))]
    if not one_hot or not additive:
        return Claim(SECTION, "break_even", claim, rule=SIDES, fails=fails)
    right, texts, shares = 0, [], []
    for row in additive:
        level, threshold = key_of(row).level, float(row["break_even"])
        share = Estimate(*(value / one_hot[0] for value in estimate_of(row, "monte_carlo")))
        right += share.upper < 1.0 if level < threshold else share.lower > 1.0
        texts.append(f"{with_bounds(share)} at ν = {level:g}")
        shares.append(share)
    verdict: Verdict = (
        "holds" if right == len(additive) else "holds in part" if 2 * right > len(additive) else "does not hold"
    )
    threshold = float(additive[0]["break_even"])
    both = {float(row["level"]) < threshold for row in additive}
    alone = "" if len(both) == 2 else " No level lies on the other side of ν*."
    sentence = f"Noise over one-hot's, with ν* = {value_text(threshold)}: {listing(texts)}.{alone}"
    figures = {"break_even": threshold, "below": sides(shares).below, "above": sides(shares).above}
    figure = Estimate(threshold, math.nan, math.nan)
    measured = f"ν* = {value_text(threshold)}"
    return Claim(SECTION, "break_even", claim, measured, figure, SIDES, verdict, sentence, False, figures, fails)
