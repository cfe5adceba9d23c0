"""Claims on real networks, where the divergence is bounded from above and constants are estimates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median
from typing import Any

from kd_uncertainty.report.bounds.claims.exact import exactly
from kd_uncertainty.report.bounds.claims.processes import TIGHT
from kd_uncertainty.report.bounds.networks import GAPS, Cell, all_proxies, narrowest
from kd_uncertainty.report.bounds.proxies import is_certificate, phrase
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.rules import MARGIN, Verdict, log_slope
from kd_uncertainty.report.wording import listing, number, value_text, with_bounds

SECTION = "networks"
INSIDE = "holds if the student's gap lies in the interval of every constant in every cell; in part if in that of some"
HALF = (
    f"holds if for every constant the interval of the log-log slope contains −1/2, or the slope is within {MARGIN:g} "
    "of it; in part if for some"
)
FLAT = f"holds if the interval of the log-log slope contains 0, or the slope is within {MARGIN:g} of it"
LOOSE = (
    f"holds if with every constant the interval is at most {TIGHT:g} times as wide as the student's gap in every cell; "
    "in part if with some"
)
BELOW = "holds if no cell has a lower estimate whose interval lies above that of the divergence"
UNITS = "the divergence is estimated too small, or the constant is, as an estimate from few training sets may be"
ESTIMATED = "the constant does not fall with n: Hoeffding’s is the loss’s range, whatever the data"


def network_claims(cells: Sequence[Cell], confidence: float) -> list[Claim]:
    """Gaps inside the interval, how it narrows, how the divergence grows, and how tight it is."""
    proxies = all_proxies(cells)
    return [
        _inside(cells, proxies, "gen_student_pseudo"),
        _inside(cells, proxies, "gen_student_true"),
        _narrows(cells, proxies, confidence),
        _flat(cells, confidence),
        _below(cells),
        _tightness(cells, proxies),
    ]


def langevin_claims(cells: Sequence[Cell]) -> list[Claim]:
    """Gaps inside the interval where Langevin dynamics trains, with the divergence of paths as K."""
    return [_inside(cells, all_proxies(cells), gap, "langevin_", " with Langevin dynamics") for gap in GAPS]


def _inside(cells: Sequence[Cell], proxies: Sequence[str], gap: str, prefix: str = "", kernel: str = "") -> Claim:
    which = GAPS[gap].removeprefix("student, ")
    claim = f"the student’s gap against its {which} lies within the teacher’s ± σ √(2 K){kernel}"
    if gap == "gen_student_true":
        claim += ", which the theorem does not promise"
    key, ours = f"{prefix}inside_{gap.removeprefix('gen_student_')}", gap == "gen_student_true"
    shares = {name: [one.used(name, gap) for one in cells] for name in proxies}
    shares = {name: [value for value in values if not math.isnan(value)] for name, values in shares.items()}
    shares = {name: values for name, values in shares.items() if values}
    if not shares:
        return Claim(SECTION, key, claim, rule=INSIDE, ours=ours, fails=UNITS)
    inside = {name: sum(value <= 1.0 for value in values) for name, values in shares.items()}
    whole = {name: inside[name] == len(values) for name, values in shares.items()}
    verdict: Verdict = "holds" if all(whole.values()) else "holds in part" if any(whole.values()) else "does not hold"
    texts = listing(
        f"{inside[name]} of {len(values)} with {phrase(name)} (at most {number(max(values), 2)} of the half width)"
        for name, values in shares.items()
    )
    sentence = f"Cells (n and label noise) whose gap lies inside{kernel}: {texts}."
    if verdict == "holds":
        sentence += " That is consistent with the bound; estimates of σ and K do not prove it."
    most = max(max(values) for values in shares.values())
    total, count = sum(inside.values()), sum(len(values) for values in shares.values())
    figures: dict[str, Any] = {name: {"inside": inside[name], "count": len(shares[name])} for name in shares}
    measured = f"inside {total} of {count} intervals; at most {number(most, 2)} of the half width"
    figure = exactly(most)
    return Claim(SECTION, key, claim, measured, figure, INSIDE, verdict, sentence, ours, figures, UNITS)


def slopes(cells: Sequence[Cell], proxies: Sequence[str], confidence: float) -> dict[str, Estimate]:
    """The log-log slope of the interval's width against n by constant, at the least label noise."""
    own = of_least_noise(cells)
    found = {
        name: log_slope([one.num_examples for one in own], [one.width(name) for one in own], confidence)
        for name in proxies
    }
    return {name: slope for name, slope in found.items() if slope.measured}


def of_least_noise(cells: Sequence[Cell]) -> list[Cell]:
    """The cells of the smallest label noise, by number of examples."""
    least = min((one.label_noise for one in cells), default=0.0)
    return [one for one in cells if one.label_noise == least]


def _narrows(cells: Sequence[Cell], proxies: Sequence[str], confidence: float) -> Claim:
    claim = "the interval narrows as 1/√n"
    found = slopes(cells, proxies, confidence)
    if not found:
        return Claim(SECTION, "narrows", claim, rule=HALF, fails=ESTIMATED)
    hits = [near(slope, -0.5) for slope in found.values()]
    verdict: Verdict = "holds" if all(hits) else "holds in part" if any(hits) else "does not hold"
    texts = listing(f"{with_bounds(slope, 2)} with {phrase(name)}" for name, slope in found.items())
    falling = sum(slope.upper < 0.0 for slope in found.values())
    sentence = (
        f"Log-log slope of its width against n: {texts}; it falls measurably with {falling} of {len(found)} constants."
    )
    name, shown = next(iter(found.items()))
    figures = {key: slope.as_json() for key, slope in found.items()}
    measured = f"slope {with_bounds(shown, 2)} with {phrase(name)}"
    return Claim(SECTION, "narrows", claim, measured, shown, HALF, verdict, sentence, False, figures, ESTIMATED)


def near(slope: Estimate, value: float) -> bool:
    """Whether a slope is a power: its interval contains it, or it is within `MARGIN`."""
    return slope.lower <= value <= slope.upper or abs(slope.estimate - value) <= MARGIN


def _flat(cells: Sequence[Cell], confidence: float) -> Claim:
    claim = "the divergence of networks is flat in n"
    fails = "the teacher’s labels miss the truth by as much at every example: the data’s shift is a sum over them"
    own = of_least_noise(cells)
    slope = log_slope([one.num_examples for one in own], [one.figure("divergence") for one in own], confidence)
    if not slope.measured:
        return Claim(SECTION, "flat_networks", claim, rule=FLAT, fails=fails)
    verdict: Verdict = "holds" if near(slope, 0.0) else "does not hold"
    texts = listing(f"{with_bounds(one.figure('divergence'), 0)} at n = {one.num_examples:,}" for one in own)
    sentence = f"It is, in nats and from above, {texts}."
    measured = f"log-log slope {with_bounds(slope, 2)}"
    return Claim(SECTION, "flat_networks", claim, measured, slope, FLAT, verdict, sentence, False, {}, fails)


def _below(cells: Sequence[Cell]) -> Claim:
    claim = "what is estimated from below, in function space, does not exceed the divergence"
    fails = "the estimate is biased upwards, as those of nearest neighbours are in many dimensions"
    pairs = [(one.figure("divergence_lower_estimate"), one.figure("divergence")) for one in cells]
    pairs = [(low, high) for low, high in pairs if low.known and high.known and high.estimate > 0.0]
    if not pairs:
        return Claim(SECTION, "below", claim, rule=BELOW, fails=fails)
    surely = sum(
        (low.lower if low.measured else low.estimate) > (high.upper if high.measured else high.estimate)
        for low, high in pairs
    )
    shares = [low.estimate / high.estimate for low, high in pairs]
    verdict: Verdict = "does not hold" if surely else "holds"
    middle = median(shares)
    sentence = (
        f"It is {number(100 * middle, 1)}% of the divergence in the median of {len(pairs)} cells, from "
        f"{number(100 * min(shares), 1)}% to {number(100 * max(shares), 1)}%: the divergence lies between the two."
    )
    figures = {"above": surely, "count": len(pairs), "median_share": middle}
    measured = f"{number(100 * middle, 1)}% of the divergence in the median"
    figure = exactly(middle)
    return Claim(SECTION, "below", claim, measured, figure, BELOW, verdict, sentence, True, figures, fails)


def _tightness(cells: Sequence[Cell], proxies: Sequence[str]) -> Claim:
    claim = f"the interval is tight: at most {TIGHT:g} times as wide as the student’s gap"
    fails = "the divergence counts every parameter’s and every label’s difference, and the gap feels few of them"
    found = {name: [one.figure(f"tightness_{name}").estimate for one in cells] for name in proxies}
    found = {name: [value for value in values if not math.isnan(value)] for name, values in found.items()}
    found = {name: values for name, values in found.items() if values}
    if not found:
        return Claim(SECTION, "tightness_networks", claim, rule=LOOSE, ours=True, fails=fails)
    tight = {name: max(values) <= TIGHT for name, values in found.items()}
    verdict: Verdict = "holds" if all(tight.values()) else "holds in part" if any(tight.values()) else "does not hold"
    ranges = {
        name: f"× {value_text(min(values), 0)} to {value_text(max(values), 0)} with {phrase(name)}"
        for name, values in found.items()
    }
    sure = [name for name in found if is_certificate(name, exact=False)]
    shown = sure[0] if sure else next(iter(found))
    note = ""
    if sure:
        low, high = cells[0].interval(shown)
        vacuous = low < -1.0 and high > 1.0
        note = f" The certified interval at {cells[0].label} is {number(low, 1)} to {number(high, 1)}"
        note += ", of a gap that cannot leave −1 to 1: it says nothing." if vacuous else "."
    sentence = f"Its width over the student’s gap against pseudo-labels: {listing(ranges.values())}.{note}"
    figures: dict[str, Any] = {name: {"least": min(values), "most": max(values)} for name, values in found.items()}
    best = narrowest(cells)
    others = [name for name in (shown, best) if name in ranges]
    measured = ", ".join(ranges[name] for name in dict.fromkeys(others))
    figure = exactly(median(found[shown]))
    return Claim(SECTION, "tightness_networks", claim, measured, figure, LOOSE, verdict, sentence, True, figures, fails)
