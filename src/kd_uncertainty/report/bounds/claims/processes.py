"""Claims on enumerated processes, where the divergence and the law of the gap are known without error."""

from __future__ import annotations

import math
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.report.bounds.claims.exact import column, exactly
from kd_uncertainty.report.bounds.claims.never import Usage, never_claim, usage
from kd_uncertainty.report.bounds.claims.sharpness import sharpness_claims
from kd_uncertainty.report.bounds.proxies import is_certificate, phrase, proxies_in
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import listing, number, value_text

SECTION = "processes"
COLUMNS = ("gen_teacher", "gen_student", "divergence")
CHAIN_TO = 1e-9
TIGHT = 10.0
"""An interval wider than this many times what it is about is loose."""
NEARLY = 0.95
"""Nearly all."""
CHAIN = f"holds if the two sides of the chain rule differ by at most {CHAIN_TO:g} nats in every configuration"
TIGHTNESS = (
    f"holds if it is so in nearly all configurations ({NEARLY:.0%}) with the tightest certificate; in part if in half "
    "of them"
)
SHARPER = "holds if the best central bound is above the sub-Gaussian one in every configuration; in part if in some"
NO_CERTIFICATE = "the constant is an estimate and too small, so that the gap is not sub-Gaussian with it"


def process_claims(table: pd.DataFrame, sharpness: pd.DataFrame) -> list[Claim]:
    """The chain rule, upper, lower, central and sharpness-aware bound, which constants suffice, how tight they are.

    Args:
        table: The table ``processes``.
        sharpness: The table ``sharpness``: the sharpness-aware bound of the same processes by radius.
    """
    frame = pd.DataFrame() if missing(table, COLUMNS) else table
    return [
        _chain_rule(frame),
        _sided(frame, "upper"),
        _sided(frame, "lower"),
        _central(frame),
        _sharper(frame),
        *sharpness_claims(frame, sharpness),
        _estimates(frame),
        _tightness(frame),
    ]


def used(frame: pd.DataFrame, prefix: str, proxy: str) -> Usage:
    """What the student's gap uses of one bound: of its distance from the teacher's gap."""
    sign = 1.0 if prefix == "upper_" else -1.0
    apart = sign * (np.array(column(frame, "gen_student")) - np.array(column(frame, "gen_teacher")))
    bound = sign * (np.array(column(frame, prefix + proxy)) - np.array(column(frame, "gen_teacher")))
    return usage(apart.tolist(), bound.tolist())


def certificates(frame: pd.DataFrame) -> list[str]:
    """The constants of the table that are certificates, the tightest first."""
    return [name for name in proxies_in(map(str, frame.columns)) if is_certificate(name, exact=True)]


def _chain_rule(frame: pd.DataFrame) -> Claim:
    claim = (
        "the divergence of student and teacher is the data’s shift plus the algorithm’s shift at the same pseudo-labels"
    )
    fails = "the algorithm’s shift is taken at the real data instead of the pseudo-labelled ones"
    errors = [error for error in np.abs(column(frame, "chain_rule_error")) if not np.isnan(error)]
    if not errors:
        return Claim(SECTION, "chain_rule", claim, rule=CHAIN, fails=fails)
    largest = float(max(errors))
    verdict: Verdict = "holds" if largest <= CHAIN_TO else "does not hold"
    divergences = column(frame, "divergence")
    sentence = (
        f"Over {len(errors):,} processes with divergences from {value_text(min(divergences), 3)} to "
        f"{value_text(max(divergences), 3)} nats the two sides differ by at most {value_text(largest)}."
    )
    measured = f"at most {value_text(largest)} nats apart"
    figure = exactly(largest)
    figures = {"largest_error": largest, "count": len(errors)}
    return Claim(SECTION, "chain_rule", claim, measured, figure, CHAIN, verdict, sentence, False, figures, fails)


def _sided(frame: pd.DataFrame, side: str) -> Claim:
    """The bound on one side, of every certificate together; the tightest one's share is the figure."""
    sign = "+" if side == "upper" else "−"
    claim = f"the student’s gap is {'at most' if side == 'upper' else 'at least'} the teacher’s {sign} σ √(2 K)"
    found = {name: used(frame, f"{side}_", name) for name in certificates(frame)}
    found = {name: one for name, one in found.items() if one.count}
    texts = listing(f"{number(one.most, 2)} with {phrase(name)}" for name, one in found.items())
    note = f" By constant, at most: {texts}." if len(found) > 1 else ""
    together = Usage([share for one in found.values() for share in one.shares])
    return never_claim((SECTION, side, claim), together, "bounds (process and certificate)", NO_CERTIFICATE, note=note)


def _central(frame: pd.DataFrame) -> Claim:
    claim = "under the central condition the student’s gap is at least c times the teacher’s − K/η"
    fails = "c is larger than the cumulant function of the gap allows"
    if "lower_central" not in frame:
        return never_claim((SECTION, "central", claim), Usage([]), "", fails)
    return never_claim((SECTION, "central", claim), used(frame, "lower_", "central"), "processes", fails)


def _sharper(frame: pd.DataFrame) -> Claim:
    claim = "the central bound is sharper than the sub-Gaussian lower bound"
    fails = "c is computed from the sub-Gaussian constant: the best η then gives the sub-Gaussian bound back exactly"
    names = certificates(frame)
    if "lower_central" not in frame or not names:
        return Claim(SECTION, "sharper", claim, rule=SHARPER, fails=fails)
    central, plain = np.array(column(frame, "lower_central")), np.array(column(frame, f"lower_{names[0]}"))
    known = ~np.isnan(central - plain)
    better = int((central[known] > plain[known] + 1e-12).sum())
    worse = int((central[known] < plain[known] - 1e-12).sum())
    count = int(known.sum())
    verdict: Verdict = "holds" if better == count else "holds in part" if better else "does not hold"
    sentence = (
        f"With c from the true cumulant function it is higher in {better:,} of {count:,} processes and lower in "
        f"{worse:,} (sub-Gaussian with {phrase(names[0])})."
    )
    gain = float(np.median(central[known] - plain[known])) if count else float("nan")
    figures = {"better": better, "worse": worse, "count": count}
    measured = f"higher in {better:,} of {count:,}, by {value_text(gain, 3)} in the median"
    figure = exactly(gain)
    return Claim(SECTION, "sharper", claim, measured, figure, SHARPER, verdict, sentence, False, figures, fails)


def _estimates(frame: pd.DataFrame) -> Claim:
    """The constant that certifies nothing: whether the bounds hold with it all the same."""
    claim = "the standard deviation of the gap will do for σ"
    fails = "the gap has heavier tails than a normal law with its variance"
    shares = [share for side in ("upper_", "lower_") for share in used(frame, side, "std").shares]
    return never_claim((SECTION, "std", claim), Usage(shares), "bounds (process and side)", fails, ours=True)


def _tightness(frame: pd.DataFrame) -> Claim:
    claim = f"the interval is tight: at most {TIGHT:g} times as wide as the two gaps are apart"
    fails = (
        "the divergence is large beside the difference that it makes to the gap, as it is where students imitate well"
    )
    found = {name: [v for v in column(frame, f"tightness_{name}") if math.isfinite(v)] for name in certificates(frame)}
    found = {name: values for name, values in found.items() if values}
    if not found:
        return Claim(SECTION, "tightness", claim, rule=TIGHTNESS, ours=True, fails=fails)
    texts = listing(
        f"{number(median(values), 1)} ({number(min(values), 1)} to {value_text(max(values), 0)}) with {phrase(name)}"
        for name, values in found.items()
    )
    name, best = min(found.items(), key=lambda pair: median(pair[1]))
    tight = sum(value <= TIGHT for value in best)
    verdict: Verdict = (
        "holds" if tight >= NEARLY * len(best) else "holds in part" if 2 * tight >= len(best) else "does not hold"
    )
    sentence = (
        "Its width over the distance of the gaps (2 is the least that a bound on both sides can have), median (least "
        f"to most): {texts}. It is at most {TIGHT:g} in {tight:,} of {len(best):,} processes with {phrase(name)}."
    )
    figures: dict[str, Any] = {key: median(values) for key, values in found.items()}
    figure = exactly(median(best))
    measured = f"× {number(median(best), 1)} in the median, × {number(min(best), 1)} to × {value_text(max(best), 0)}"
    return Claim(SECTION, "tightness", claim, measured, figure, TIGHTNESS, verdict, sentence, True, figures, fails)
