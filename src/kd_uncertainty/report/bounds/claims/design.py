"""Claims on the linear-Gaussian case: what bounds the divergence there, and how its terms follow the dials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Any

import pandas as pd

from kd_uncertainty.report.bounds.claims.exact import column, exactly
from kd_uncertainty.report.bounds.claims.never import Usage, never_claim, usage
from kd_uncertainty.report.bounds.design import SWEEPS, agreements, dial_name, sweep_of
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import MARGIN, ZERO, Verdict
from kd_uncertainty.report.wording import listing, number, value_text

SECTION = "linear-Gaussian"
CELLS = "random worlds and settings of the dials"
AUDIT = ("divergence_exact", "corrected_bound", "literal_form")
DIRECT_TO = 1e-10
OTHER_DATA = "the teacher’s kernel is taken at the real data instead of the pseudo-labelled ones"
RANDOMISED = "the terms are computed from estimates of the teacher’s law: they are exact only where it is known"
MONOTONE = "holds if it does so from every setting of the dial to the next; in part if from the first to the last"
FLAT = (
    f"holds if a doubling of n changes it by at most {MARGIN:.0%} on the upper half of the sweep (log scale); in part "
    "if it grows more slowly than √n there"
)
TWICE = "holds if the median of the bound over the divergence is at most 2; in part if at most 10"


def design_claims(sweeps: pd.DataFrame, audit: pd.DataFrame) -> list[Claim]:
    """Whether the chain rule is right, which forms bound the divergence, how tight they are, and what each dial moves.

    Args:
        sweeps: The table ``decomposition_sweeps``.
        audit: The table ``decomposition_audit``: random worlds; without it forms are judged by the sweeps alone.
    """
    frame = pd.DataFrame() if missing(sweeps, SWEEPS) else sweeps
    worlds = pd.DataFrame() if missing(audit, AUDIT) else audit
    both = [worlds, frame]
    return [
        _chain_rule(worlds),
        _form(both, "corrected", "the corrected form, Bias + Var + Apx + Cov + Spread, is never below the divergence"),
        _form(both, "tight", "the tight form, which keeps the square of the mismatch whole, is never below it either"),
        _literal(both),
        _twice(both),
        _moves(frame, "variance", "inverse_temperature", rises=False),
        _moves(frame, "spread", "inverse_temperature", rises=True),
        _flat(frame),
        _approximation(frame),
        _same_best(frame),
    ]


def divergences(frame: pd.DataFrame) -> list[float]:
    """The divergence of every row: the lower end of its interval where it is an estimate."""
    pairs = zip(column(frame, "divergence_exact"), column(frame, "divergence_exact_lower"), strict=True)
    return [value if math.isnan(lower) else lower for value, lower in pairs]


def used_of(frames: Sequence[pd.DataFrame], form: str) -> Usage:
    """What the divergence uses of a form, over the rows of all tables."""
    parts = [usage(divergences(rows), column(rows, form)) for rows in map(once, frames)]
    return Usage([share for part in parts for share in part.shares])


def once(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows without repetitions of the base configuration, which stands in the sweep of every dial."""
    if "is_base" not in frame:
        return frame
    base = frame["is_base"].astype(bool)
    return frame[~base | (base.cumsum() == 1)]


def _chain_rule(worlds: pd.DataFrame) -> Claim:
    claim = "the divergence between the joint Gaussian laws is the data’s shift plus the algorithm’s shift"
    rule = f"holds if the two ways of computing it agree to {DIRECT_TO:g} of it in every random world"
    errors = [error for error in column(worlds, "chain_rule_error") if not math.isnan(error)]
    if not errors:
        return Claim(SECTION, "direct", claim, rule=rule, fails=OTHER_DATA)
    largest = max(errors)
    verdict: Verdict = "holds" if largest <= DIRECT_TO else "does not hold"
    sentence = f"Over {len(errors):,} random worlds the two differ by at most {value_text(largest)} of the divergence."
    measured, figure = f"at most {value_text(largest)} apart, as a share", exactly(largest)
    figures = {"largest_error": largest, "count": len(errors)}
    return Claim(SECTION, "direct", claim, measured, figure, rule, verdict, sentence, False, figures, OTHER_DATA)


def _form(frames: Sequence[pd.DataFrame], form: str, claim: str) -> Claim:
    name = (SECTION, form, claim)
    return never_claim(name, used_of(frames, f"{form}_bound"), CELLS, RANDOMISED, ours=True)


def _literal(frames: Sequence[pd.DataFrame]) -> Claim:
    claim = "the compact form as printed, with Spread = k d, is a bound on the divergence"
    fails = "β differs from 1 or the truth is not a draw from the prior: only there do the two forms agree on average"
    return never_claim((SECTION, "literal", claim), used_of(frames, "literal_form"), CELLS, fails)


def _twice(frames: Sequence[pd.DataFrame]) -> Claim:
    claim = "the corrected form is tight: at most twice the divergence"
    fails = "one term is bounded apart from the others that make up for it"
    corrected, tight = (over(frames, name) for name in ("corrected_bound", "tight_bound"))
    if not corrected:
        return Claim(SECTION, "twice", claim, rule=TWICE, ours=True, fails=fails)
    middle, least, most = median(corrected), min(corrected), max(corrected)
    verdict: Verdict = "holds" if middle <= 2.0 else "holds in part" if middle <= 10.0 else "does not hold"
    note = f"; the tight form is × {number(median(tight), 2)} in the median" if tight else ""
    sentence = (
        f"It is × {number(middle, 2)} the divergence in the median of {len(corrected):,} {CELLS}, from × "
        f"{number(least, 2)} to × {value_text(most, 0)}{note}."
    )
    figures = {"median": middle, "least": least, "most": most, "count": len(corrected)}
    measured = f"× {number(middle, 2)} in the median, × {number(least, 2)} to × {value_text(most, 0)}"
    figure = exactly(middle)
    return Claim(SECTION, "twice", claim, measured, figure, TWICE, verdict, sentence, True, figures, fails)


def over(frames: Sequence[pd.DataFrame], form: str) -> list[float]:
    """A form over the divergence, over the rows of all tables where both are known."""
    pairs = [
        pair
        for rows in map(once, frames)
        for pair in zip(column(rows, form), column(rows, "divergence_exact"), strict=True)
    ]
    return [bound / truth for bound, truth in pairs if truth > 0.0 and not math.isnan(bound)]


def _moves(frame: pd.DataFrame, term: str, dial: str, *, rises: bool) -> Claim:
    """A term that rises or falls from every setting of a dial to the next."""
    word, name = ("rises" if rises else "falls"), {"variance": "Var", "spread": "Spread"}[term]
    claim, key = f"{name} {word} with the {dial_name(dial)}", f"{term}_{word}"
    fails = (
        "data do not outweigh the prior: from k d at β = 0 Spread first falls"
        if rises
        else "the teacher is no Gibbs posterior, whose covariance shrinks as β grows"
    )
    sweep = sweep_of(frame, dial)
    values, heights = column(sweep, "value"), column(sweep, term)
    if len(heights) < 2:
        return Claim(SECTION, key, claim, rule=MONOTONE, fails=fails)
    verdict = monotone(heights, rises=rises)
    change = heights[-1] / heights[0] if heights[0] > 0.0 else math.inf
    sentence = (
        f"From {value_text(heights[0], 2)} nats at {values[0]:.3g} to {value_text(heights[-1], 2)} at "
        f"{values[-1]:.3g}, over {len(heights)} settings."
    )
    figures = {"first": heights[0], "last": heights[-1], "count": len(heights)}
    measured = f"× {value_text(change, 3)} from first to last"
    figure = exactly(change)
    return Claim(SECTION, key, claim, measured, figure, MONOTONE, verdict, sentence, False, figures, fails)


def monotone(heights: Sequence[float], *, rises: bool) -> Verdict:
    """By `MONOTONE`."""
    steps = [(after - before) if rises else (before - after) for before, after in pairwise(heights)]
    if all(step > 0.0 for step in steps):
        return "holds"
    return "holds in part" if sum(steps) > 0.0 else "does not hold"


def _flat(frame: pd.DataFrame) -> Claim:
    claim = "the divergence is flat in the number of examples, so that the interval narrows with the constant σ alone"
    fails = "n is not large beside the number of inputs, or the teacher learns more parameters from more data"
    sweep = sweep_of(frame, "num_examples")
    pairs = [
        (count, value)
        for count, value in zip(column(sweep, "value"), column(sweep, "divergence_exact"), strict=True)
        if value > 0.0
    ]
    middle = math.sqrt(pairs[0][0] * pairs[-1][0]) if pairs else math.nan
    upper = [pair for pair in pairs if pair[0] >= middle]
    if len(upper) < 2:
        return Claim(SECTION, "flat", claim, rule=FLAT, fails=fails)
    (start, first), (end, last) = upper[0], upper[-1]
    slope = math.log(last / first) / math.log(end / start)
    change = 2.0**slope
    verdict: Verdict = (
        "holds" if abs(change - 1.0) <= MARGIN else "holds in part" if abs(slope) < 0.5 else "does not hold"
    )
    sentence = (
        f"From n = {pairs[0][0]:.0f} to {end:.0f} it goes from {value_text(pairs[0][1], 2)} to {value_text(last, 2)} "
        f"nats; on the upper half, from n = {start:.0f}, a doubling multiplies it by {number(change)}, and the width "
        f"of the interval, for σ ~ 1/√n, by {number(2.0 ** (slope / 2.0 - 0.5))} (1/√2 = 0.707)."
    )
    figures: dict[str, Any] = {"slope": slope, "first": pairs[0][1], "last": last}
    measured = f"× {number(change)} a doubling of n"
    figure = exactly(change)
    return Claim(SECTION, "flat", claim, measured, figure, FLAT, verdict, sentence, False, figures, fails)


def _approximation(frame: pd.DataFrame) -> Claim:
    claim = "Apx falls with the student’s rank, to 0 where the student can express the teacher"
    fails = "some directions of the inputs are not seen: there the best map cannot be the teacher’s"
    rule = "holds if it falls from every rank to the next and is 0 to rounding at the largest; in part if it falls"
    sweep = sweep_of(frame, "rank")
    ranks, heights = column(sweep, "value"), column(sweep, "approximation")
    if len(heights) < 2:
        return Claim(SECTION, "approximation_falls", claim, rule=rule, fails=fails)
    falls = monotone(heights, rises=False)
    gone = heights[-1] <= ZERO * heights[0]
    verdict: Verdict = falls if gone or falls == "does not hold" else "holds in part"
    sentence = (
        f"From {value_text(heights[0], 2)} nats at rank {ranks[0]:.0f} to {value_text(heights[-1])} at rank "
        f"{ranks[-1]:.0f}."
    )
    figures = {"first": heights[0], "last": heights[-1], "count": len(heights)}
    measured = f"{value_text(heights[-1])} nats at rank {ranks[-1]:.0f}"
    figure = exactly(heights[-1])
    return Claim(
        SECTION, "approximation_falls", claim, measured, figure, rule, verdict, sentence, False, figures, fails
    )


def _same_best(frame: pd.DataFrame) -> Claim:
    claim = "the setting of a dial that minimises the bound minimises the divergence itself"
    fails = "the dial moves a term that the bound exaggerates"
    rule = "holds if it is so for every dial, or their divergences cannot be told apart; in part if for some"
    found = agreements(frame)
    if not found:
        return Claim(SECTION, "same_best", claim, rule=rule, ours=True, fails=fails)
    same = [one for one in found if one.same]
    verdict: Verdict = "holds" if len(same) == len(found) else "holds in part" if same else "does not hold"
    texts = listing(
        f"{one.bound:.4g} against {one.divergence:.4g} for the {dial_name(one.dial)}" for one in found if not one.same
    )
    others = f"; best by bound and by divergence: {texts}." if texts else "."
    sentence = f"It is so for {len(same)} of {len(found)} dials{others}"
    figures = {one.dial: {"bound": one.bound, "divergence": one.divergence, "literal": one.literal} for one in found}
    measured, figure = f"{len(same)} of {len(found)} dials", exactly(len(same) / len(found))
    return Claim(SECTION, "same_best", claim, measured, figure, rule, verdict, sentence, True, figures, fails)
