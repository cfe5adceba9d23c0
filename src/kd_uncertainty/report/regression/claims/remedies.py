"""Claims of section 7: averaging falls as 1/k, networks keep a floor, and what weighting adds to averaging."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.claims.training import BELOW
from kd_uncertainty.report.regression.wording import METHOD_NAMES, MODEL_NAMES
from kd_uncertainty.report.rules import MARGIN, Verdict, direction, log_slope, ratio, sides, trend
from kd_uncertainty.report.wording import listing, number, with_bounds

SECTION = "7 remedies"
COLUMNS = ("model", "noise", "num_responses", "method", "inter_variance")
SLOPE = f"holds if the slope's interval contains −1 at every noise level, or the slope is within {MARGIN:g} of it"
SLOWER = "holds if the slope's interval lies above −1 at every noise level"
FALLS = "holds if the interval of the change from the smallest to the largest k lies below 1 at every noise level"

SAME = 1e-6
"""A ratio with an interval as narrow as this compares a method with itself."""


def remedies_claims(table: pd.DataFrame, confidence: float = 0.95) -> list[Claim]:
    """Slopes of the average by model, its closed form, its error, and the ratios of the other methods to it."""
    there = not missing(table, COLUMNS)
    frame = table if there else pd.DataFrame(columns=[*COLUMNS])
    average = choose(frame, method="average")
    found = [_slope(choose(average, model="linear"), "linear", confidence)]
    found.append(_law(choose(average, model="linear"), confidence))
    found.append(_slope(choose(average, model="network"), "network", confidence))
    found += [_error(choose(average, model=model), model) for model in ("linear", "network")]
    found.append(_predicted(choose(frame, method="inverse_variance_oracle"), confidence))
    for model in ("linear", "network"):
        own = choose(frame, model=model)
        found.append(_weighting(own, model, "inverse_variance_oracle", "variance_ratio", confidence))
        for column in ("variance_ratio", "equal_budget_ratio"):
            found.append(_weighting(own, model, "inverse_variance_estimated", column, confidence))
        # BLUE has no further responses: what it has at the same k is what it has for the same spending.
        found.append(_weighting(own, model, "blue", "variance_ratio", confidence))
        found.append(_weighting(own, model, "pilot", "variance_ratio", confidence))
        found.append(_blue_over_pilot(own, model, confidence))
    return found


def _by_noise(own: pd.DataFrame) -> dict[float, list[dict[Any, Any]]]:
    ranked = own.sort_values("num_responses")
    return {float(noise): choose(ranked, noise=noise).to_dict("records") for noise in sorted(own["noise"].unique())}


def _slope(own: pd.DataFrame, model: str, confidence: float) -> Claim:
    linear = model == "linear"
    claim = (
        "averaging k responses divides the variance between linear students by k"
        if linear
        else "the variance between network students falls more slowly than 1/k: it has a floor"
    )
    rule, key = SLOPE if linear else SLOWER, f"{model}_slope"
    slopes = {
        noise: log_slope(
            [float(row["num_responses"]) for row in rows],
            [estimate_of(row, "inter_variance") for row in rows],
            confidence,
        )
        for noise, rows in _by_noise(own).items()
    }
    slopes = {noise: slope for noise, slope in slopes.items() if slope.measured}
    if not slopes:
        return Claim(SECTION, key, claim, rule=rule, ours=not linear)
    right = [_as_one_over_k(slope) if linear else slope.lower > -1.0 for slope in slopes.values()]
    verdict: Verdict = "holds" if all(right) else "holds in part" if any(right) else "does not hold"
    noise, shown = list(slopes.items())[-1]
    texts = (f"{_short(slope)} at noise {level:g}" for level, slope in slopes.items())
    sentence = f"Log-log slope of the variance of the average against k: {listing(texts)}."
    measured = f"slope {_short(shown)} at noise {noise:g}"
    figures = {"slopes": {f"{level:g}": slope.as_json() for level, slope in slopes.items()}}
    return Claim(SECTION, key, claim, measured, shown, rule, verdict, sentence, not linear, figures)


def _as_one_over_k(slope: Estimate) -> bool:
    return slope.lower <= -1.0 <= slope.upper or abs(slope.estimate + 1.0) <= MARGIN


def _law(own: pd.DataFrame, confidence: float) -> Claim:
    rows = own.to_dict("records")
    pairs = [(estimate_of(row, "inter_variance"), float(row.get("closed_form_variance", "nan"))) for row in rows]
    claim = "the variance between linear students on averages is σ² x'(X'X)⁻¹x / k"
    return law_claim((SECTION, "linear_closed_form", claim), pairs, confidence, "noise level and k")


def _error(own: pd.DataFrame, model: str) -> Claim:
    claim = f"averaging more responses lowers the test MSE of {MODEL_NAMES[model]} students"
    key = f"{model}_mse"
    trends = {
        noise: trend(
            [float(row["num_responses"]) for row in rows], [estimate_of(row, "test_mse") for row in rows]
        ).change
        for noise, rows in (_by_noise(own) if "test_mse" in own else {}).items()
    }
    trends = {noise: change for noise, change in trends.items() if change.measured}
    if not trends:
        return Claim(SECTION, key, claim, rule=FALLS)
    found = sides(list(trends.values()))
    noise, shown = list(trends.items())[-1]
    texts = (f"× {with_bounds(change)} at noise {level:g}" for level, change in trends.items())
    sentence = f"From the smallest to the largest k the test MSE changes {listing(texts)}."
    verdict = direction(found.below, found.above, found.count, 1.0)
    return Claim(SECTION, key, claim, f"× {with_bounds(shown)} at noise {noise:g}", shown, FALLS, verdict, sentence)


def _weighting(own: pd.DataFrame, model: str, method: str, column: str, confidence: float) -> Claim:
    """Whether a method leaves less variance than the average, at the same k or at the same number of responses."""
    equal = column == "equal_budget_ratio"
    basis = "for the same number of responses, pilots included" if equal else "at the same k"
    what = "teaching a pilot's predictions alone" if method == "pilot" else f"weighting ({METHOD_NAMES[method]})"
    claim = f"{what} leaves less variance between {MODEL_NAMES[model]} students than averaging {basis}"
    key = f"{model}_{method}_{'equal_budget' if equal else 'same_k'}"
    ours = equal or method != "inverse_variance_oracle"
    own = choose(own, method=method)
    values = [estimate_of(row, column) for row in (own.to_dict("records") if column in own else [])]
    note = ""
    if method == "inverse_variance_oracle":
        note = " The oracle knows the teacher's noise-free mean, which nobody has who would need it."
    return _below_one((key, claim, f"Ratio to the average {basis}"), values, confidence, ours=ours, note=note)


def _blue_over_pilot(own: pd.DataFrame, model: str, confidence: float) -> Claim:
    """What the responses add to the pilot that was trained on them: BLUE's variance over that of the pilot alone."""
    claim = f"weighting (BLUE) leaves less variance between {MODEL_NAMES[model]} students than its pilot alone"
    blue, pilot = (
        {(row["noise"], row["num_responses"]): estimate_of(row, "inter_variance") for row in rows.to_dict("records")}
        for rows in (choose(own, method=method) for method in ("blue", "pilot"))
    )
    values = [ratio(value, pilot[cell]) for cell, value in blue.items() if cell in pilot]
    note = " The intervals take the two as independent, so they err wide."
    return _below_one((f"{model}_blue_over_pilot", claim, "Ratio to the pilot alone"), values, confidence, note=note)


def _below_one(
    name: tuple[str, str, str], values: Sequence[Estimate], confidence: float, *, ours: bool = True, note: str = ""
) -> Claim:
    """The claim that ratios over noise levels and k lie below 1; ``name`` is key, claim and what the ratio is."""
    key, claim, what = name
    # Where a method is the average by construction, as the oracle at k = 1, there is nothing to compare.
    known = [value for value in values if value.measured]
    values = [value for value in known if value.upper - value.lower > SAME]
    found = sides(values)
    if known and not values:
        sentence = "It is the same to rounding in every cell."
        return Claim(SECTION, key, claim, "× 1", known[0], BELOW, "does not hold", sentence, ours)
    if not values:
        return Claim(SECTION, key, claim, rule=BELOW, ours=ours)
    typical = min(values, key=lambda value: abs(value.estimate - found.middle))
    sentence = f"{what}, over noise levels and k: {found.text()}.{note}"
    verdict = direction(found.below, found.above, found.count, confidence)
    figures = {"below": found.below, "above": found.above, "count": found.count, "median_ratio": found.middle}
    return Claim(SECTION, key, claim, f"× {_short(typical)}", typical, BELOW, verdict, sentence, ours, figures)


def _predicted(own: pd.DataFrame, confidence: float) -> Claim:
    claim = "the oracle's gain for linear students is E[1 / (1 + χ²₍k₋₁₎ / k)²]"
    own = choose(own, model="linear")
    rows: Sequence[dict[Any, Any]] = own.to_dict("records") if "predicted_ratio" in own else []
    pairs = [(estimate_of(row, "variance_ratio"), float(row["predicted_ratio"])) for row in rows]
    pairs = [(value, law) for value, law in pairs if value.upper - value.lower > SAME]
    return law_claim((SECTION, "oracle_prediction", claim), pairs, confidence, "noise level and k", ours=True)


def _short(value: Estimate) -> str:
    return f"{number(value.estimate, 3)} [{number(value.lower, 3)}, {number(value.upper, 3)}]"
