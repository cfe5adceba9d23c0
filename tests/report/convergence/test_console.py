"""The terminal's table of the convergence study: every claim, at most 80 columns, no markup from names."""

from __future__ import annotations

import pytest

from kd_uncertainty.report.convergence import make_summary
from kd_uncertainty.report.convergence.console import NAMES, name_of

from ..test_console import printed


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_has_every_claim(tables, task, width):
    text = printed(make_summary(task, tables), width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for section in ("gradient noise", "descent", "step", "mixture", "networks", "teachers"):
        assert sum(line.strip() == section for line in text.splitlines()) == 1
    assert sum(line.rstrip().endswith("holds") for line in text.splitlines()) == 32
    assert "labels to train on: variational teacher" in text
    assert "λ* = 0.857" in text


def test_every_claim_has_a_name(tables, task):
    keys = {claim["key"] for claim in make_summary(task, tables)["claims"]}
    assert {key for key in keys if "_over_" not in key} == set(NAMES)
    assert name_of("my_net_over_deterministic") == "my_net / deterministic"


def test_long_names_are_not_cut(tables, task):
    name = "a_teacher_with_quite_a_long_name_of_its_own"
    frames = {
        key: frame.replace({"teacher": {"laplace": name}}) if "teacher" in frame else frame
        for key, frame in tables.items()
    }
    text = printed(make_summary(task, frames))
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text


def test_names_are_text(tables, task):
    frames = {
        key: frame.replace({"teacher": {"laplace": "[red]x[/red]"}}) if "teacher" in frame else frame
        for key, frame in tables.items()
    }
    assert "[red]x[/red]" in printed(make_summary(task, frames), 100)


def test_without_tables(task):
    assert printed(make_summary(task, {})).count("not measured") == 27
