"""A claim with what was measured and the verdict that follows by a stated rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from kd_uncertainty.report.arms import NO_ESTIMATE
from kd_uncertainty.report.comparison import Estimate
from kd_uncertainty.report.rules import MARGIN, Verdict, contains, equality, is_close
from kd_uncertainty.report.wording import number

VERBS: dict[Verdict, str] = {
    "holds": "hold",
    "holds in part": "hold in part",
    "does not hold": "do not hold",
    "not measured": "not measured",
}


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, or one of ours beside it, with what was measured and the verdict.

    Attributes:
        section: The part of the study that measures it.
        key: A short name, for programs.
        claim: What is claimed.
        measured: Our figure in words, with its interval.
        figure: The figure itself.
        rule: How the verdict follows from the figures.
        verdict: One of four words.
        sentence: Everything that a reader has to know.
        ours: Whether the claim is ours and not the paper's.
        figures: Further figures, for programs.
        fails: When the claim fails, whatever was measured here.
    """

    section: str
    key: str
    claim: str
    measured: str = "n/a"
    figure: Estimate = NO_ESTIMATE
    rule: str = ""
    verdict: Verdict = "not measured"
    sentence: str = ""
    ours: bool = False
    figures: Mapping[str, Any] = field(default_factory=dict)
    fails: str = ""

    def as_json(self) -> dict[str, Any]:
        """The claim as a JSON object."""
        plain = ("section", "key", "claim", "measured", "rule", "verdict", "ours", "fails")
        sentence = self.sentence or f"{self.claim}: not measured."
        return {
            **{name: getattr(self, name) for name in plain},
            "sentence": sentence,
            "figure": self.figure.as_json(),
            "figures": dict(self.figures),
        }


def equality_rule(margin: float = MARGIN) -> str:
    """The rule of `law_claim` in words."""
    return f"holds if no more intervals miss the law than chance gives, or if every figure is within {margin:.0%} of it"


def law_claim(
    name: tuple[str, str, str],
    pairs: Sequence[tuple[Estimate, float]],
    confidence: float,
    cell: str,
    *,
    ours: bool = False,
) -> Claim:
    """A claim that figures equal a law: their ratio to it, and how many intervals contain it.

    Args:
        name: Section, key and claim.
        pairs: Figures and the law's values, which are positive.
        confidence: The intervals' level.
        cell: What a figure stands for, in the singular.
        ours: Whether the claim is ours.
    """
    pairs = [(figure, law) for figure, law in pairs if figure.measured and law > 0.0]
    inside = sum(contains(figure, law) for figure, law in pairs)
    close = sum(is_close(figure, law) for figure, law in pairs)
    section, key, claim = name
    if not pairs:
        return Claim(section, key, claim, rule=equality_rule(), ours=ours)
    ratios = [Estimate(*(end / law for end in figure)) for figure, law in pairs]
    middle = median(ratio.estimate for ratio in ratios)
    figure = min(ratios, key=lambda ratio: abs(ratio.estimate - middle))
    measured = f"measured / law: {number(figure.estimate, 3)} [{number(figure.lower, 3)}, {number(figure.upper, 3)}]"
    sentence = (
        f"The ratio of measured to law has the median {number(middle, 3)} and runs from "
        f"{number(min(r.estimate for r in ratios), 3)} to {number(max(r.estimate for r in ratios), 3)}; {inside} of "
        f"{len(pairs)} intervals (one a {cell}) contain the law."
    )
    figures = {"inside": inside, "close": close, "count": len(pairs), "median_ratio": middle}
    verdict = equality(inside, close, len(pairs), confidence)
    return Claim(section, key, claim, measured, figure, equality_rule(), verdict, sentence, ours, figures)


def count_verdicts(claims: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many claims (as JSON) got each verdict."""
    counts = Counter(claim["verdict"] for claim in claims)
    return {word: counts[word] for word in VERBS}


def verdicts_text(counts: Mapping[str, int]) -> str:
    """``12 hold, 3 hold in part, 2 do not hold, 1 not measured``, without what does not occur."""
    return ", ".join(f"{counts[word]} {verb}" for word, verb in VERBS.items() if counts.get(word))
