"""Claims of section 6: which targets suppress the uncertainty that a single student expresses."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from kd_uncertainty.report.claims import Claim
from kd_uncertainty.report.comparison import Estimate, estimate_of
from kd_uncertainty.report.frames import choose, missing
from kd_uncertainty.report.regression.claims.training import BELOW
from kd_uncertainty.report.regression.wording import MODEL_NAMES
from kd_uncertainty.report.rules import Verdict, direction, ratio, sides
from kd_uncertainty.report.wording import number

SECTION = "6 student output"
CLAIMS = (
    ("argmax", "students trained on the teacher's argmax have less entropy than the teacher", False),
    ("soft", "students trained on soft labels have no less entropy than the teacher", True),
    ("label", "students trained on sampled labels have no less entropy than the teacher", True),
)
SUPPRESSED = "holds if nearly all intervals of students' / teacher's entropy lie below 1 and none above"
KEPT_SHARE = 0.9
"""Students that keep this share of the teacher's entropy are said to keep it."""
KEPT = (
    f"holds if students keep at least {KEPT_SHARE:.0%} of the teacher's entropy in every source, by the "
    "interval's upper end"
)


def student_output_claims(table: pd.DataFrame, confidence: float = 0.95) -> list[Claim]:
    """One claim a target, over sources and models, on all test points; correct and incorrect ones in the sentence."""
    there = not missing(table, ("source", "role", "model", "target", "subset", "entropy_ratio"))
    found = []
    for target, claim, ours in CLAIMS:
        own = choose(table, role="student", target=target) if there else pd.DataFrame()
        found.append(_target(own, target, claim, confidence, ours=ours))
    return [*found, _argmax_over_soft(table if there else pd.DataFrame(), confidence)]


def _argmax_over_soft(table: pd.DataFrame, confidence: float) -> Claim:
    """The same students on the same points, set apart by their targets alone: this is what argmax suppresses."""
    claim = "students trained on argmax have less entropy than those trained on soft labels"
    key, cells = "argmax_over_soft", ["source", "model"]
    rows = choose(table, role="student", subset="all") if len(table) else table
    pairs = choose(rows, target="argmax").merge(choose(rows, target="soft"), on=cells) if len(rows) else rows
    named = {side: (f"entropy{side}", f"entropy_lower{side}", f"entropy_upper{side}") for side in ("_x", "_y")}
    changes = [
        (
            str(row["model"]),
            ratio(*(Estimate(*(float(row[name]) for name in named[s])) for s in named)),
        )
        for row in pairs.to_dict("records")
    ]
    found = sides([change for _, change in changes])
    if not found.count:
        return Claim(SECTION, key, claim, rule=BELOW, ours=True)
    typical = min(
        (value for _, value in changes if value.measured), key=lambda value: abs(value.estimate - found.middle)
    )
    sentence = f"Entropy with argmax over that with soft labels on all test points, over sources. {by_model(changes)}."
    verdict = direction(found.below, found.above, found.count, confidence)
    figures = {"below": found.below, "above": found.above, "count": found.count, "median_ratio": found.middle}
    return Claim(SECTION, key, claim, f"× {_short(typical)}", typical, BELOW, verdict, sentence, True, figures)


def _target(own: pd.DataFrame, target: str, claim: str, confidence: float, *, ours: bool) -> Claim:
    suppressing = target == "argmax"
    rule = SUPPRESSED if suppressing else KEPT
    rows = choose(own, subset="all").to_dict("records") if len(own) else []
    values = [estimate_of(row, "entropy_ratio") for row in rows]
    found = sides(values)
    if not found.count:
        return Claim(SECTION, target, claim, rule=rule, ours=ours)
    verdict: Verdict
    if suppressing:
        verdict = direction(found.below, found.above, found.count, confidence)
    else:
        kept = sum(value.upper >= KEPT_SHARE for value in values if value.measured)
        verdict = "holds" if kept == found.count else "holds in part" if 2 * kept >= found.count else "does not hold"
    typical = min((v for v in values if v.measured), key=lambda value: abs(value.estimate - found.middle))
    texts = by_model((str(row["model"]), value) for row, value in zip(rows, values, strict=True))
    sentence = f"Students' entropy over the teacher's on all test points, over sources. {texts}."
    subsets = [_subset(own, subset) for subset in ("correct", "incorrect")]
    sentence += "".join(f" {text}" for text in subsets if text)
    figures = {"below": found.below, "above": found.above, "count": found.count, "median_ratio": found.middle}
    return Claim(SECTION, target, claim, f"× {_short(typical)}", typical, rule, verdict, sentence, ours, figures)


def _subset(own: pd.DataFrame, subset: str) -> str:
    rows = choose(own, subset=subset).to_dict("records")
    found = sides([estimate_of(row, "entropy_ratio") for row in rows])
    return f"On {subset} ones: {found.text()}." if found.count else ""


def _short(value: Estimate) -> str:
    return f"{number(value.estimate, 3)} [{number(value.lower, 3)}, {number(value.upper, 3)}]"


def by_model(values: Iterable[tuple[str, Estimate]]) -> str:
    """`sides` in words for each kind of student: ``Linear students: median ...; network students: ...``."""
    groups: dict[str, list[Estimate]] = {}
    for model, value in values:
        groups.setdefault(model, []).append(value)
    text = "; ".join(f"{MODEL_NAMES.get(model, model)} students: {sides(own).text()}" for model, own in groups.items())
    return text[:1].upper() + text[1:]
