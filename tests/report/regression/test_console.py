"""The terminal's table of the regression study: every claim, at most 80 columns, no markup from names."""

from __future__ import annotations

import pytest

from kd_uncertainty.report.regression import make_summary
from kd_uncertainty.report.regression.console import NAMES

from ..test_console import printed


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_has_every_claim(tables, task, width):
    summary = make_summary(task, tables)
    text = printed(summary, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    assert text.count("not measured") == 1
    for section in ("4 teacher output", "5 bootstrap", "7 remedies"):
        assert text.count(section) == 1
    assert "noise 1: 7 [7, 7]" in " ".join(text.split())


def test_every_claim_has_a_name_and_its_figure(tables, task):
    summary = make_summary(task, tables)
    assert {(claim["section"], claim["key"]) for claim in summary["claims"]} == {
        (section, key) for section, names in NAMES.items() for key in names
    }
    lines = printed(summary).splitlines()
    [line] = [line for line in lines if "network, oracle / average" in line]
    assert "0.500 [0.475, 0.525]" in line
    assert line.rstrip().endswith("holds")


def test_names_are_text(tables, task):
    frames = {
        name: frame.replace({"teacher": {"linear_regression": "[red]x[/red]"}}) if "teacher" in frame else frame
        for name, frame in tables.items()
    }
    assert "[red]x[/red]" in printed(make_summary(task, frames), 100)


def test_without_tables(task):
    assert printed(make_summary(task, {})).count("not measured") == 39
