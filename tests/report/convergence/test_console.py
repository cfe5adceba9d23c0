"""The terminal's table of the convergence study: a name for every claim, and what to do."""

from __future__ import annotations

from kd_uncertainty.report.convergence import make_summary
from kd_uncertainty.report.convergence.console import NAMES, name_of

from ..test_console import printed


def test_what_to_do_stands_below(tables, task):
    text = printed(make_summary(task, tables))
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
