"""What the page of the convergence study has beside those of other studies."""

from __future__ import annotations

import pytest

from ..pages import page_of, words


@pytest.fixture(scope="module")
def page():
    return page_of("convergence")


def test_the_two_papers_are_named_where_they_meet(page):
    text = words(page)
    assert text.index("arXiv 2601.18909") < text.index("How noisy are the gradients?")
    assert "arXiv 2601.01484" in text
