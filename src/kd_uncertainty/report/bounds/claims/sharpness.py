"""Claims on the sharpness-aware bound of enumerated processes."""

from __future__ import annotations

import math

import pandas as pd

from kd_uncertainty.report.bounds.claims.exact import column, exactly
from kd_uncertainty.report.bounds.claims.never import never_claim, usage
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.frames import missing
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import listing, number, value_text

SECTION = "processes"
COLUMNS = ("configuration", "radius", "upper", "gain")
GAIN = "holds if it is below the standard bound at every radius of every process; in part if at some"


def sharpness_claims(processes: pd.DataFrame, sharpness: pd.DataFrame) -> list[Claim]:
    """Whether the sharpness-aware bound holds, and whether it is sharper than the standard one.

    Args:
        processes: The table ``processes``; empty if it lacks what is needed.
        sharpness: The table ``sharpness``.
    """
    there = not missing(sharpness, COLUMNS) and not missing(processes, ("configuration", "gen_student"))
    frame = pd.DataFrame()
    if there:
        gaps = processes[["configuration", "gen_student", "gen_teacher"]]
        frame = sharpness[list(COLUMNS)].merge(gaps, on="configuration", validate="many_to_one")
    apart, bound = (
        [value - base for value, base in zip(column(frame, name), column(frame, "gen_teacher"), strict=True)]
        for name in ("gen_student", "upper")
    )
    holds = never_claim(
        (SECTION, "sharpness", "the sharpness-aware bound is never below the student’s gap"),
        usage(apart, bound),
        "cases (process and radius)",
        "the student’s own mean sharpness is negative, as it can be away from a minimum of a loss that is not convex",
    )
    return [holds, _gain(frame)]


def _gain(frame: pd.DataFrame) -> Claim:
    claim = "the sharpness-aware bound is sharper than the standard one"
    fails = "nothing bounds the loss’s slope better near the teacher than elsewhere: the bound rises with the radius"
    pairs = [
        (radius, gain)
        for radius, gain in zip(column(frame, "radius"), column(frame, "gain"), strict=True)
        if not math.isnan(gain)
    ]
    if not pairs:
        return Claim(SECTION, "sharpness_gain", claim, rule=GAIN, fails=fails)
    better = sum(gain > 0.0 for _, gain in pairs)
    verdict: Verdict = "holds" if better == len(pairs) else "holds in part" if better else "does not hold"
    texts = listing(
        f"{sum(gain > 0.0 for at, gain in pairs if at == radius):,} of {sum(at == radius for at, _ in pairs):,} at "
        f"radius {radius:g}"
        for radius in sorted({at for at, _ in pairs})
    )
    most = max(gain for _, gain in pairs)
    best = f"at best {value_text(abs(most), 5)} {'below' if most > 0.0 else 'above'} it"
    sentence = f"It is below the standard bound, with exact constants, in {texts}; {best}."
    figures = {"better": better, "count": len(pairs), "most": most}
    measured = f"sharper in {better:,} of {len(pairs):,} ({number(100.0 * better / len(pairs), 1)}%)"
    figure = exactly(better / len(pairs))
    return Claim(SECTION, "sharpness_gain", claim, measured, figure, GAIN, verdict, sentence, False, figures, fails)
