"""The terminal's table of the bounds study: a name for every claim, and what to do."""

from __future__ import annotations

from kd_uncertainty.report.bounds import make_summary
from kd_uncertainty.report.bounds.console import NAMES

from ..test_console import printed


def test_what_to_do_stands_below(tables, task):
    text = printed(make_summary(task, tables))
    assert "first: rank r of the student 2 → 3, bound 16.7 nats (yes)" in text
    assert "Var 9%: inverse temperature β 2 → 4, bound 33.7 nats (no: the bound" in text


def test_every_claim_has_a_name(tables, task):
    assert {claim["key"] for claim in make_summary(task, tables)["claims"]} == set(NAMES)
