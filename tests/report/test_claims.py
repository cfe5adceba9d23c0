"""Claims that figures equal a law, their JSON, and the count of verdicts."""

from __future__ import annotations

import math

import pytest

from kd_uncertainty.report.claims import Claim, count_verdicts, law_claim, verdicts_text
from kd_uncertainty.report.comparison import Estimate

NAME = ("part", "key", "figures equal the law")


def around(value: float, share: float = 0.1) -> Estimate:
    return Estimate(value, value * (1 - share), value * (1 + share))


@pytest.mark.parametrize(
    ("factor", "share", "verdict"),
    [
        (1.0, 0.1, "holds"),
        (1.04, 0.001, "holds"),  # within the margin, however sure
        (1.08, 0.1, "holds"),  # further off, but not surely so
        (1.08, 0.01, "does not hold"),
    ],
)
def test_a_law_is_met_by_intervals_or_closely(factor, share, verdict):
    pairs = [(around(factor * law, share), law) for law in (1.0, 10.0, 100.0)]
    found = law_claim(NAME, pairs, 0.95, "cell")
    assert found.verdict == verdict
    assert found.figure.estimate == pytest.approx(factor)


def test_a_law_without_figures_is_not_measured():
    unknown = Estimate(1.0, math.nan, math.nan)
    found = law_claim(NAME, [(unknown, 1.0), (around(1.0), 0.0)], 0.95, "cell", ours=True)
    assert found.verdict == "not measured"
    assert found.ours
    assert found.rule


def test_a_claim_as_json_says_that_it_was_not_measured():
    plain = Claim("part", "key", "something holds", fails="it rains").as_json()
    assert plain["sentence"] == "something holds: not measured."
    assert plain["figure"] == {"estimate": None, "lower": None, "upper": None}
    assert plain["fails"] == "it rains"


def test_verdicts_are_counted_and_told():
    claims = [{"verdict": word} for word in ("holds", "holds", "does not hold")]
    counts = count_verdicts(claims)
    assert counts == {"holds": 2, "holds in part": 0, "does not hold": 1, "not measured": 0}
    assert verdicts_text(counts) == "2 hold, 1 do not hold"
