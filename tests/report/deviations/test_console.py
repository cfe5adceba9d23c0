"""The terminal's table of the deviations study: a name for every claim, and what to do."""

from __future__ import annotations

from kd_uncertainty.report.deviations import make_summary
from kd_uncertainty.report.deviations.console import NAMES

from ..test_console import printed


def test_what_to_do_stands_below(tables, task):
    text = printed(make_summary(task, tables))
    assert "schedule: the early-stopped teacher all the way" in text
    assert "teacher and temperature: early-stopped, self, τ = 4" in text


def test_every_claim_has_a_name(tables, task):
    assert {claim["key"] for claim in make_summary(task, tables)["claims"]} == set(NAMES)
