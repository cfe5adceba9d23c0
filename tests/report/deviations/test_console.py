"""The terminal's table of the deviations study: every claim, at most 80 columns, no markup from names."""

from __future__ import annotations

import pytest

from kd_uncertainty.report.deviations import make_summary
from kd_uncertainty.report.deviations.console import NAMES

from ..test_console import printed


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_has_every_claim(tables, task, width):
    text = printed(make_summary(task, tables), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for section in ("confidence", "gains", "switching", "eigenspace", "denoising"):
        assert sum(line.strip() == section for line in text.splitlines()) == 1
    assert sum(line.rstrip().endswith("holds") for line in text.splitlines()) == 28
    assert "schedule: the early-stopped teacher all the way" in text
    assert "teacher and temperature: early-stopped, self, τ = 4" in text


def test_every_claim_has_a_name(tables, task):
    assert {claim["key"] for claim in make_summary(task, tables)["claims"]} == set(NAMES)


def test_names_are_text(tables, task):
    frames = {
        key: frame.replace({"teacher": {"early_stopped": "[red]x[/red]"}}) if "teacher" in frame else frame
        for key, frame in tables.items()
    }
    assert "[red]x[/red]" in printed(make_summary(task, frames), 100)


def test_without_tables(task):
    assert printed(make_summary(task, {})).count("not measured") == len(NAMES)
