"""What the page of the deviations study has beside those of other studies."""

from __future__ import annotations

import pytest

from ..pages import page_of, words


@pytest.fixture(scope="module")
def page():
    return page_of("deviations")


def test_controls_stand_beside_students_in_the_tables(page):
    text = words(page)
    assert text.count("its control") >= 4
    assert "control stopped with the teacher" in text


def test_tables_without_a_figure_are_there(page):
    assert "Teachers of the switching experiment" in words(page)
