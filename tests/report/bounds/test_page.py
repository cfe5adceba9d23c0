"""What the page of the bounds study has beside those of other studies."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_uncertainty.report.bounds.networks import read_cells
from kd_uncertainty.report.bounds.tables import MOST_ROWS, interval_table, report_tables

from ..pages import page_of, words


@pytest.fixture(scope="module")
def page():
    return page_of("bounds")


def test_the_checklist_answers_first_and_doubts_come_after(page):
    text = words(page)
    assert text.index("bound as a whole") < text.index("How sure is that?")
    assert text.index("no: the bound rises") < text.index("How sure is that?") < text.index("For 6 of 6 dials")
    assert "consistent with the bound" in text
    assert "verified" not in text


def test_long_tables_are_shown_in_part_and_say_so(tables):
    short = {view.caption: len(view.rows) for view in report_tables(tables)}
    assert short["Enumerated processes"] == 24
    tables["processes"] = pd.concat([tables["processes"]] * 10)
    views = {view.caption: len(view.rows) for view in report_tables(tables)}
    assert views[f"Enumerated processes: the first {MOST_ROWS} of 240 rows"] == MOST_ROWS


def test_the_table_of_intervals_has_an_estimate_and_the_certified_one(tables):
    view = interval_table(read_cells(tables["network_bounds"]))
    assert len(view.rows) == 8
    assert [name for name in view.header if "interval" in name] == [
        "interval, σ from the cumulant function (an estimate)",
        "interval, σ from Hoeffding’s (certified)",
    ]
    assert view.rows[0][-2:] == ("−6.04 to 6.61", "× 43")
    assert interval_table([]).rows == ()


def test_both_kernels_have_their_table_of_intervals(page):
    text = words(page)
    assert "Gaps and intervals of networks: noised minimisers" in text
    assert "Gaps and intervals of networks: Langevin dynamics" in text
