"""Tables of the terminal of all studies with claims: they fit, nothing is cut, and names are text."""

from __future__ import annotations

import pytest

from .pages import STUDIES, Study
from .test_console import printed


@pytest.fixture(scope="module", params=STUDIES, ids=lambda study: study.name)
def study(request) -> Study:
    return request.param


@pytest.mark.parametrize("width", [80, 100])
def test_it_fits_and_has_every_section(study, width):
    summary = study.summary(study.tables())
    text = printed(summary, width)
    assert max(len(line) for line in text.splitlines()) <= width
    assert "…" not in text
    for section in {claim["section"] for claim in summary["claims"]}:
        assert sum(line.strip() == section for line in text.splitlines()) == 1
    holds = summary["verdicts"]["holds"]
    assert sum(line.rstrip().endswith(" holds") for line in text.splitlines()) == holds > 20


def test_names_are_text(study):
    assert "[red]x[/red]" in printed(study.summary(study.renamed("[red]x[/red]")), 100)


def test_without_tables(study):
    assert printed(study.summary({})).count("not measured") == study.num_claims
