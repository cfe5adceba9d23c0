"""Claims on SGD near the optimum: where it stays with noisy labels, and that it does not stay with exact ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.claims import Claim, law_claim
from kd_uncertainty.report.comparison import estimate_of
from kd_uncertainty.report.convergence.arms import key_of
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import MARGIN, Verdict, ratio
from kd_uncertainty.report.wording import listing, number, plural, value_text, with_bounds

SECTION = "descent"
COLUMNS = ("arm", "learning_rate", "plateau", "predicted_plateau", "rate", "slope", "floor_reached")
GEOMETRIC = (
    "holds if at every step size the interval of the factor a step lies below 1, and the excess risk falls to rounding "
    "at the largest at least; in part if the factor is below 1 at some"
)
PROPORTIONAL = (
    f"holds if the interval of the log-log slope over small steps contains 1, or the slope is within {MARGIN:g} of it; "
    "in part if the plateau grows with the step by another power"
)
TRANSIENT = 0.01
"""A plateau of which more than this share is left of the start is not one yet."""
SMALL = "steps are large: the plateau then grows faster than the step"


def descent_claims(table: pd.DataFrame, confidence: float) -> list[Claim]:
    """Geometric convergence, proportionality to the step, the plateau's level, and its ratio to one-hot's."""
    rows: list[dict[Any, Any]] = []
    if not missing(table, COLUMNS):
        rows = table.sort_values("learning_rate").to_dict("records")
    noisy = [row for row in rows if row["arm"] != "exact"]
    settled = [row for row in noisy if is_settled(row)]
    return [
        _geometric([row for row in rows if row["arm"] == "exact"]),
        _proportional([row for row in rows if row["arm"] == "one_hot"]),
        _level(settled, confidence, len(noisy) - len(settled)),
        _ratio_of_noise(settled, confidence),
    ]


def is_settled(row: Mapping[Any, Any]) -> bool:
    """Whether a plateau holds next to nothing of the start any more."""
    return not float(row.get("transient", 0.0)) > TRANSIENT


def _geometric(rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = "with exact probabilities SGD converges geometrically to the optimum itself"
    fails = "the loss is flat somewhere on the way, so that progress is not geometric, or the probabilities have errors"
    known = [(row, estimate_of(row, "rate")) for row in rows]
    known = [(row, rate) for row, rate in known if rate.measured]
    if not known:
        return Claim(SECTION, "geometric", claim, rule=GEOMETRIC, fails=fails)
    shrinking = [rate.upper < 1.0 for _, rate in known]
    reached = [bool(row["floor_reached"]) for row, _ in known]
    verdict: Verdict = "does not hold"
    if any(shrinking):
        verdict = "holds" if all(shrinking) and reached[-1] else "holds in part"
    _, shown = known[-1]
    texts = (f"{with_bounds(rate)} at α = {row['learning_rate']:.3g}" for row, rate in known)
    sentence = f"Factor of the excess risk a step: {listing(texts)}; "
    sentence += f"it falls to rounding at {sum(reached)} of {len(reached)} step sizes."
    figures = {"shrinking": sum(shrinking), "reached": sum(reached), "count": len(known)}
    measured = f"× {with_bounds(shown)} a step"
    return Claim(SECTION, "geometric", claim, measured, shown, GEOMETRIC, verdict, sentence, False, figures, fails)


def _proportional(rows: Sequence[dict[Any, Any]]) -> Claim:
    claim = "with one-hot labels SGD stays at an excess risk proportional to the step"
    steps, values = [float(row["learning_rate"]) for row in rows], [estimate_of(row, "plateau") for row in rows]
    slope = estimate_of(rows[0], "slope") if rows else NO_ESTIMATE
    if not slope.measured:
        return Claim(SECTION, "proportional", claim, rule=PROPORTIONAL, fails=SMALL)
    near = slope.lower <= 1.0 <= slope.upper or abs(slope.estimate - 1.0) <= MARGIN
    verdict: Verdict = "holds" if near else "holds in part" if slope.lower > 0.0 else "does not hold"
    ends = ratio(values[-1], values[0])
    sentence = (
        f"From α = {steps[0]:.3g} to {steps[-1]:.3g}, a factor of {number(steps[-1] / steps[0], 1)}, the excess risk "
        f"at which it stays changes × {with_bounds(ends)}."
    )
    measured = f"log-log slope {with_bounds(slope)}"
    return Claim(SECTION, "proportional", claim, measured, slope, PROPORTIONAL, verdict, sentence, False, {}, SMALL)


def _level(rows: Sequence[dict[Any, Any]], confidence: float, left_out: int) -> Claim:
    """The plateau at each arm's smallest step at which the start is forgotten, where the law is meant to hold."""
    smallest: dict[str, dict[Any, Any]] = {}
    for row in rows:
        smallest.setdefault(key_of(row).label, row)
    claim = "for small steps the excess risk at which SGD stays is α σ*/4"
    pairs = [(estimate_of(row, "plateau"), float(row["predicted_plateau"])) for row in smallest.values()]
    found = law_claim((SECTION, "level", claim), pairs, confidence, "kind of labels", ours=True)
    everywhere = [
        float(row["plateau"]) / float(row["predicted_plateau"]) for row in rows if row["predicted_plateau"] > 0
    ]
    if found.sentence and everywhere:
        ends = f"{number(min(everywhere))} to {number(max(everywhere))}"
        note = f" This is at the smallest step; over all steps it runs from {ends}."
        if left_out:
            note += f" Left out: {plural(left_out, 'plateau')} that still held over {TRANSIENT:.0%} of the start."
        found = replace(found, sentence=found.sentence + note)
    return replace(found, fails=SMALL)


def _ratio_of_noise(rows: Sequence[dict[Any, Any]], confidence: float) -> Claim:
    """Plateaus over one-hot's at the same step against the ratio of the gradient noises."""
    one_hot = {float(row["learning_rate"]): row for row in rows if row["arm"] == "one_hot"}
    pairs, names = [], set()
    for row in rows:
        base = one_hot.get(float(row["learning_rate"]))
        if base is not None and row["arm"] != "one_hot" and float(base["predicted_plateau"]) > 0.0:
            measured = ratio(estimate_of(row, "plateau"), estimate_of(base, "plateau"))
            pairs.append((measured, float(row["predicted_plateau"]) / float(base["predicted_plateau"])))
            names.add(key_of(row).label)
    claim = "other labels move that excess risk in proportion to their gradient noise at the optimum"
    found = law_claim((SECTION, "noise_ratio", claim), pairs, confidence, "kind of labels and step")
    if found.sentence:
        laws = sorted({value_text(law, 3) for _, law in pairs})
        found = replace(found, sentence=f"{found.sentence} The laws are {listing(laws)} times one-hot's.")
    return replace(
        found, fails="steps are so large that the labels' whole distribution matters, not its variance alone"
    )
