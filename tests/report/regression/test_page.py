"""The page: parses, fetches nothing, escapes everything, has the paper's sections, and bears missing pieces."""

from __future__ import annotations

import pytest

from kd_uncertainty.report.regression import FIGURES, make_figures, make_summary, render_report

from ..test_page import Page
from .study import make_tables

HEADINGS = [
    "What should I do?",
    "How sure is that?",
    "Where did the uncertainty go?",
    "Which claims hold?",
    "Section 4: teacher output",
    "Section 5: model-driven, initialisation",
    "Section 5: data-driven, bootstrap",
    "Section 6: student output",
    "Section 7: remedies",
    "Tables of the crossed design",
    "What was run",
]


def render(tables, task, given, *, drawn: bool = False) -> str:
    summary = make_summary(task, tables)
    return render_report(summary, make_figures(tables) if drawn else {}, tables, given)


@pytest.fixture(scope="module")
def html():
    task = {"num_inputs": 10, "features": ["age"], "num_examples": {"train": 264, "test": 89}}
    return render(make_tables(), task, {}, drawn=True)


def words(page: Page) -> str:
    return " ".join(page.text.split())


def test_sections_come_in_the_order_of_the_questions_and_of_the_paper(html):
    assert Page(html).headings == HEADINGS


def test_advice_and_responses_come_first_and_every_sentence_is_there(html, tables, task):
    summary = make_summary(task, tables)
    text = words(Page(html))
    for sentence in (*summary["recommendation"], *(claim["sentence"] for claim in summary["claims"])):
        assert " ".join(sentence.split()) in text
    assert text.index(summary["advice"][-3]["sentence"]) < text.index("How sure is that?")
    assert text.index("How sure is that?") < text.index("Section 4: teacher output")


def test_every_claim_stands_with_its_figure_and_verdict(html, tables, task):
    page = Page(html)
    for claim in make_summary(task, tables)["claims"]:
        assert claim["measured"] in page.text
    assert page.text.count("Does not hold") == 8
    assert len([a for _, a in page.tags if "data-claim" in a]) == 39


def test_nothing_is_fetched(html):
    page = Page(html)
    for _, attributes in page.tags:
        for name in ("src", "href", "action", "data", "poster", "srcset"):
            assert not attributes.get(name, "#").startswith(("http:", "https:", "//"))
    assert not page.all("link")
    assert all("src" not in script for script in page.all("script"))
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    assert "default-src 'none'" in policy
    assert "http" not in policy


def test_links_lead_somewhere_and_tables_have_captions(html):
    page = Page(html)
    targets = {attributes["id"] for _, attributes in page.tags if "id" in attributes}
    assert {link["href"].removeprefix("#") for link in page.all("a")} <= targets
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(header.get("scope") in ("col", "row") for header in page.all("th"))


def test_figures_carry_alternatives_and_both_layouts(html):
    page = Page(html)
    charts = [attributes for attributes in page.all("div") if "data-figure" in attributes]
    assert {chart["data-figure"] for chart in charts} == set(FIGURES)
    for chart in charts:
        assert len(chart["aria-label"]) > 60
        assert set(page.figures["figures"][chart["data-figure"]]) == {"wide", "narrow"}


def test_user_strings_are_escaped_everywhere(tables, task):
    nasty = "<script>alert(1)</script>"
    frames = {
        name: frame.replace({"teacher": {"linear_regression": nasty}}) if "teacher" in frame else frame
        for name, frame in tables.items()
    }
    frames["student_output"] = frames["student_output"].replace({"source": {"wine": nasty}})
    task["features"][0] = nasty
    html = render(frames, task, {"command": f"kedro run --params {nasty}"}, drawn=True)
    assert nasty in Page(html).text
    assert html.count(nasty) == 0


def test_numbers_that_are_missing_are_not_written_as_nan(tables, task):
    for name in ("teacher_output", "remedies", "student_output", "initialisation"):
        frame = tables[name]
        columns = [column for column in frame if column.endswith(("_lower", "_upper"))]
        frame[columns] = float("nan")
    text = Page(render(tables, task, {})).text
    assert " nan" not in text.lower()


def test_missing_figures_and_tables(task):
    page = Page(render_report(make_summary(task, {}), {}, {}, {}))
    assert page.headings == HEADINGS
    assert "Nothing can be recommended" in page.text
    assert "39 not measured" in page.text


@pytest.mark.parametrize("name", ["arm_metrics", "variance_components", "remedies"])
def test_a_table_may_be_missing_alone(tables, task, name):
    rest = {key: frame for key, frame in tables.items() if key != name}
    assert Page(render(rest, task, {})).headings == HEADINGS
