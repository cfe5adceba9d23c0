"""The rule of bounds: one configuration that lies outside, and a bound is none."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kd_uncertainty.report.bounds.claims.exact import exactly
from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.rules import Verdict
from kd_uncertainty.report.wording import number, value_text

ROUNDING, ABSOLUTE = 1e-9, 1e-12
"""A bound exceeded by less than this, as a share or in its unit, is exceeded by rounding."""
NEVER = "holds if no configuration lies outside the bound; one that does, and it does not hold"


@dataclass(frozen=True)
class Usage:
    """How much of a bound is used, one share a configuration: 1 where the truth lies on the bound, more outside it."""

    shares: Sequence[float]

    @property
    def violated(self) -> int:
        """How many lie outside."""
        return sum(share > 1.0 + ROUNDING for share in self.shares)

    @property
    def count(self) -> int:
        """How many configurations there are."""
        return len(self.shares)

    @property
    def most(self) -> float:
        """The largest share."""
        return max(self.shares, default=math.nan)

    def verdict(self) -> Verdict:
        """By `NEVER`."""
        if not self.count:
            return "not measured"
        return "does not hold" if self.violated else "holds"

    def text(self) -> str:
        """``violated in 0 of 120; at most 0.93 of it used``, or by what factor it is exceeded."""
        most = "the truth is up to × " if self.violated else "at most "
        return (
            f"violated in {self.violated:,} of {self.count:,}; {most}{number(self.most, 2)} of "
            f"it{' used' * (not self.violated)}"
        )


def usage(distances: Sequence[float], bounds: Sequence[float]) -> Usage:
    """Distances over bounds on them; a distance that is not positive uses nothing, and NaN is left out."""
    pairs = [
        (distance, bound)
        for distance, bound in zip(distances, bounds, strict=True)
        if not (math.isnan(distance) or math.isnan(bound))
    ]
    return Usage([_share(distance, bound) for distance, bound in pairs])


def _share(distance: float, bound: float) -> float:
    if distance <= bound + ABSOLUTE:
        return min(distance / bound, 1.0) if bound > 0.0 and distance > ABSOLUTE else 0.0
    return distance / bound if bound > 0.0 else math.inf


def never_claim(
    name: tuple[str, str, str], found: Usage, cell: str, fails: str, *, ours: bool = False, note: str = ""
) -> Claim:
    """A claim that a bound is never violated.

    Args:
        name: Section, key and claim.
        found: What is used of the bound.
        cell: What a configuration is, in the plural.
        fails: When it fails.
        ours: Whether the claim is ours.
        note: A further sentence.
    """
    section, key, claim = name
    if not found.count:
        return Claim(section, key, claim, rule=NEVER, ours=ours, fails=fails)
    most = value_text(found.most, 2)
    word = (
        f"so it is not a bound; the truth is up to × {most} of it"
        if found.violated
        else f"consistent with the bound, of which at most {most} is used"
    )
    sentence = f"Of {found.count:,} {cell} {found.violated:,} lie outside: {word}.{note}"
    figures: dict[str, Any] = {"violated": found.violated, "count": found.count, "most": found.most}
    figure = exactly(found.most)
    return Claim(section, key, claim, found.text(), figure, NEVER, found.verdict(), sentence, ours, figures, fails)
