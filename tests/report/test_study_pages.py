"""Pages of all studies with claims: in the order of the questions, self-contained, whole without their tables."""

from __future__ import annotations

import pytest

from .pages import HEADINGS, STUDIES, Page, Study, page_of, words

NASTY = "<script>alert(1)</script>"


@pytest.fixture(scope="module", params=STUDIES, ids=lambda study: study.name)
def study(request) -> Study:
    return request.param


@pytest.fixture(scope="module")
def page(study):
    return page_of(study.name)


def test_sections_come_in_the_order_of_the_questions(page):
    assert page.headings == HEADINGS


def test_every_sentence_of_the_summary_is_there(page, study):
    summary, text = study.summary(study.tables()), words(page)
    for sentence in (*summary["recommendation"], *(claim["sentence"] for claim in summary["claims"])):
        assert " ".join(sentence.split()) in text
    assert text.index(summary["recommendation"][0][:60]) < text.index("How sure is that?")
    for claim in summary["claims"]:
        assert claim["fails"] in text
        assert claim["rule"][1:] in text  # the first letter is a capital there, the others are as they are
    assert len([a for _, a in page.tags if "data-claim" in a]) == len(summary["claims"])


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


def test_figures_carry_alternatives_and_both_layouts(page, study):
    charts = [attributes for attributes in page.all("div") if "data-figure" in attributes]
    assert {chart["data-figure"] for chart in charts} == set(study.report.FIGURES)
    for chart in charts:
        assert len(chart["aria-label"]) > 60
        assert set(page.figures["figures"][chart["data-figure"]]) == {"wide", "narrow"}


def test_user_strings_are_escaped_everywhere(study):
    task = {study.classes: [NASTY]}
    html = study.html(study.renamed(NASTY), drawn=True, command=f"kedro run --params {NASTY}", **task)
    assert Page(html).text.count(NASTY) >= 3
    assert html.count(NASTY) == 0


def test_numbers_that_are_missing_are_not_written_as_nan(study):
    assert " nan" not in Page(study.html(study.without_bounds())).text.lower()


def test_without_figures_and_tables(study):
    page = Page(study.html({}))
    assert page.headings == HEADINGS
    assert "Nothing can be recommended" in page.text
    assert f"{study.num_claims} not measured" in page.text


def test_a_table_may_be_missing_alone(study):
    tables = study.tables()
    for name in sorted(tables):
        rest = {key: frame for key, frame in tables.items() if key != name}
        assert Page(study.html(rest)).headings == HEADINGS, name
