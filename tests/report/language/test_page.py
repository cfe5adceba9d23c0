"""What the page of the language study has beside those of other studies."""

from __future__ import annotations

import pandas as pd
import pytest

from kd_uncertainty.report.language.arms import read_study
from kd_uncertainty.report.language.tables import (
    MOST_ROWS,
    choice_table,
    report_tables,
    samples_table,
    sources_table,
    variance_table,
)

from ..pages import Page, page_of, study_of, words


@pytest.fixture(scope="module")
def page():
    return page_of("language")


def test_the_prompts_are_described(page):
    text = words(page)
    assert "48 prompts, 36 trained on / 12 held out, 6 relations" in text
    assert "Question: {question} Answer:" in text
    assert "capital (8), opposite (8), arithmetic (8)" in text


def test_a_study_without_references_says_so(tables, task):
    page = Page(study_of("language").html(tables, has_references=False))
    assert "no reference answers" in page.text
    assert Page(study_of("language").html(tables)).text.count("no reference answers") == 0


def test_definitions_are_ours_and_stand_among_the_words(page):
    text = words(page)
    assert "ours: share of prompts whose modal answer over all students is wrong while students agree" in text


def test_the_surrogate_comes_before_real_students_and_mistakes_last(page):
    text = words(page)
    places = [
        text.index(title) for title in ("What must hold?", "Do real students follow?", "What becomes of mistakes?")
    ]
    assert places == sorted(places)


def test_answers_can_be_read(page, tables):
    assert "mouse (45), mice (19)" in words(page)
    view = samples_table(tables["sample_answers"].assign(note=pd.NA))
    assert view.header == ("prompt", "split", "question", "reference", "source", "answers", "note")
    assert view.rows[0][-1] == ""


def test_the_law_stands_beside_students_of_all_answers_only(tables):
    view = variance_table(read_study(tables), "train")
    by_name = {row[0]: row[1:] for row in view.rows}
    assert by_name["all answers, k = 4"][:3] == ("75.0%", "25.0%", "75.0% [69.9, 80.5]")
    assert by_name["averaging, k = 4"][:2] == ("", "")
    assert variance_table(read_study({}), "train").rows == ()


def test_ways_to_teach_are_ranked_with_what_is_left_out(tables):
    view = choice_table(read_study(tables))
    assert view.header == ("students", "inter over V", "intra over V", "accuracy", "beside the choice")
    assert view.rows[0] == (
        "token probabilities, k = 8",
        "5.0% [4.6, 5.4]",
        "95.0% [88.5, 102.0]",
        "60.0% [57.0, 63.0]",
        "chosen",
    )
    words_of = {row[0]: row[-1] for row in view.rows}
    assert words_of["all answers, k = 8"] == "less steady"
    assert words_of["weighting, published, k = 8"] == "worse"
    assert choice_table(read_study({"answer_metrics": tables["answer_metrics"]})).rows == ()


def test_sources_are_told_where_they_were_told_apart(tables):
    view = sources_table(read_study(tables), "train", "embedding")
    assert view.rows[0][1:] == ("100.0% [93.1, 107.4]", "100.0% [93.1, 107.4]", "n/a", "n/a")


def test_long_tables_are_shown_in_part_and_say_so(tables):
    views = {view.caption: view for view in report_tables(tables, read_study(tables))}
    count = len(tables["answer_variance"])
    assert len(views[f"Variances of answers, as measured: the first {MOST_ROWS} of {count} rows"].rows) == MOST_ROWS
    assert len(views["The tabular surrogate"].rows) == len(tables["surrogate"])
