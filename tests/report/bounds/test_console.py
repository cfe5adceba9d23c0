"""The terminal's table of the bounds study: every claim, at most 80 columns, and the design checklist."""

from __future__ import annotations

import pytest

from kd_uncertainty.report.bounds import make_summary
from kd_uncertainty.report.bounds.console import NAMES

from ..test_console import printed


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_has_every_claim(tables, task, width):
    text = printed(make_summary(task, tables), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for section in ("linear-Gaussian", "processes", "networks"):
        assert sum(line.strip() == section for line in text.splitlines()) == 1
    assert sum(line.rstrip().endswith("holds") for line in text.splitlines()) == 23
    assert "first: rank r of the student 2 → 3, bound 16.7 nats (yes)" in text
    assert "Var 9%: inverse temperature β 2 → 4, bound 33.7 nats (no: the bound" in text


def test_every_claim_has_a_name(tables, task):
    assert {claim["key"] for claim in make_summary(task, tables)["claims"]} == set(NAMES)


def test_names_of_dials_are_text(tables, task):
    frames = {
        key: frame.replace({"dial": {"rank": "[red]x[/red]"}}) if "dial" in frame else frame
        for key, frame in tables.items()
    }
    assert "[red]x[/red]" in printed(make_summary(task, frames), 100)


def test_without_tables(task):
    assert printed(make_summary(task, {})).count("not measured") == len(NAMES)
