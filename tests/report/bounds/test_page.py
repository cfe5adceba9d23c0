"""The page: in the order of the questions, self-contained, with every claim, and whole without its tables."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_uncertainty.report.bounds import FIGURES, make_figures, make_summary, render_report
from kd_uncertainty.report.bounds.networks import read_cells
from kd_uncertainty.report.bounds.tables import MOST_ROWS, interval_table, report_tables

from ..test_page import Page
from .study import make_tables

HEADINGS = [
    "What should I do?",
    "How sure is that?",
    "The evidence",
    "Does theory agree?",
    "Tables",
    "What was run",
]


def render(tables, task, given, *, drawn: bool = False) -> str:
    summary = make_summary(task, tables)
    return render_report(summary, make_figures(tables) if drawn else {}, tables, given)


@pytest.fixture(scope="module")
def page():
    task = {"num_inputs": 64, "num_classes": 10, "num_examples": {"train": 1078}}
    return Page(render(make_tables(), task, {"command": "kedro run --pipelines bounds"}, drawn=True))


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_sections_come_in_the_order_of_the_questions(page):
    assert page.headings == HEADINGS


def test_every_sentence_of_the_summary_is_there(page, tables, task):
    summary, text = make_summary(task, tables), words(page)
    for sentence in (*summary["recommendation"], *(claim["sentence"] for claim in summary["claims"])):
        assert " ".join(sentence.split()) in text
    assert text.index(summary["recommendation"][0][:60]) < text.index("How sure is that?")
    for claim in summary["claims"]:
        assert claim["fails"] in text
        assert claim["rule"][1:] in text  # the first letter is a capital there, the others are as they are
    assert len([a for _, a in page.tags if "data-claim" in a]) == len(summary["claims"])


def test_the_checklist_answers_first_and_doubts_come_after(page):
    text = words(page)
    assert text.index("bound as a whole") < text.index("How sure is that?")
    assert text.index("no: the bound rises") < text.index("How sure is that?") < text.index("For 6 of 6 dials")
    assert "consistent with the bound" in text
    assert "verified" not in text


def test_nothing_is_fetched(page):
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert not attributes.get(name, "#").startswith(("http:", "https:", "//"))
    assert not page.all("link")
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_links_lead_somewhere_and_tables_have_captions(page):
    targets = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(targets) == len(set(targets))
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= set(targets)
    assert len(page.all("caption")) == len(page.all("table"))


def test_figures_carry_alternatives_and_both_layouts(page):
    charts = [attributes for attributes in page.all("div") if "data-figure" in attributes]
    assert {chart["data-figure"] for chart in charts} == set(FIGURES)
    for chart in charts:
        assert len(chart["aria-label"]) > 60
        assert set(page.figures["figures"][chart["data-figure"]]) == {"wide", "narrow"}


def test_user_strings_are_escaped_everywhere(tables, task):
    nasty = "<script>alert(1)</script>"
    frames = {
        name: frame.replace({"dial": {"rank": nasty}}) if "dial" in frame else frame for name, frame in tables.items()
    }
    html = render(frames, {**task, "classes": [nasty]}, {"command": f"kedro run --params {nasty}"}, drawn=True)
    assert nasty in Page(html).text
    assert html.count(nasty) == 0


def test_numbers_that_are_missing_are_not_written_as_nan(tables, task):
    for frame in tables.values():
        columns = [column for column in frame if column.endswith(("_lower", "_upper")) or column in ("lower", "upper")]
        frame[columns] = float("nan")
    assert " nan" not in Page(render(tables, task, {})).text.lower()


def test_without_figures_and_tables(task):
    page = Page(render_report(make_summary(task, {}), {}, {}, {}))
    assert page.headings == HEADINGS
    assert "Nothing can be recommended" in page.text
    assert "27 not measured" in page.text


@pytest.mark.parametrize("name", sorted(make_tables()))
def test_a_table_may_be_missing_alone(tables, task, name):
    rest = {key: frame for key, frame in tables.items() if key != name}
    assert Page(render(rest, task, {})).headings == HEADINGS


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
