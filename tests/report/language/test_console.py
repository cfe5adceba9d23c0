"""The terminal's table of the language study: a name for every claim, and what to do."""

from __future__ import annotations

from kd_uncertainty.report.language import make_summary
from kd_uncertainty.report.language.console import NAMES

from ..test_console import printed


def test_what_to_do_stands_below(tables, task):
    text = printed(make_summary(task, tables))
    assert "students: token probabilities, k = 8 (by inter-student variance)" in text
    assert "held-out: inter 15.0% [14.0, 16.1] of V, accuracy 35.0% [32.0, 38.0]" in text


def test_every_claim_has_a_name(tables, task):
    assert {claim["key"] for claim in make_summary(task, tables)["claims"]} == set(NAMES)
