from __future__ import annotations

import json

import pytest

from benchmarks import page
from benchmarks.figures import compare

from ..project import ROOT
from .results import results

RESULTS = ROOT / "benchmarks/results.json"
PAGE = ROOT / "docs/performance.md"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (0.012345, "0.0123"),
        (1.0, "1.00"),
        (12.34, "12.3"),
        (999.6, "1,000"),
        (12345.6, "12,346"),
    ],
)
def test_numbers_have_three_digits(value, text):
    assert page.number(value) == text


def test_tables_are_markdown():
    assert page.markdown(["a", "b"], [["x", "1"]]) == "| a | b |\n| --- | ---: |\n| x | 1 |"


def test_parts_between_marks_are_written_anew_and_nothing_else():
    text = "before\n<!-- bench: W1 -->\nold\n<!-- end -->\nbetween\n<!-- bench: linear -->\n<!-- end -->\nafter\n"
    filled = page.fill(text, results())
    assert filled.startswith("before\n<!-- bench: W1 -->\n| µs per student")
    assert "old" not in filled
    assert "\n<!-- end -->\nbetween\n" in filled
    assert filled.endswith("<!-- end -->\nafter\n")
    assert page.fill(filled, results()) == filled
    with pytest.raises(KeyError):
        page.fill("<!-- bench: W9 -->\n<!-- end -->", results())


def test_cells_are_medians_with_half_the_spread():
    (line,) = (line for line in page.PARTS["W1"](results()).splitlines() if "ours: native" in line)
    assert line == "| ours: native | – | – | – | 50.0 ±10 % | – | 2 threads | 60.0 % |"


def test_layouts_and_settings_are_named():
    (line,) = (line for line in page.PARTS["W1"](results()).splitlines() if "JAX" in line)
    assert "1 thread, chunks of 32" in line


def test_figures_say_what_was_missed():
    table = page.figures(results())
    assert "| W1, 128 students: native over the DataLoader loop | ≥ 150x | 200x | yes |" in table
    assert "| W1, 128 students: native over the best JAX | ≥ 2x | 1.50x | **no** |" in table
    assert "| W5: 256 random rows | ≤ 50 µs | 30.0 µs | yes |" in table
    assert "| W1b, 128 students: native over the DataLoader loop | ≥ 22x | – | not measured |" in table


@pytest.mark.parametrize("part", page.PARTS)
def test_every_part_is_on_the_page(part):
    assert f"<!-- bench: {part} -->" in PAGE.read_text()


@pytest.mark.skipif(not RESULTS.exists(), reason="nothing measured yet")
def test_the_page_is_in_step_with_the_results():
    measured = json.loads(RESULTS.read_text())
    assert page.fill(PAGE.read_text(), measured) == PAGE.read_text()
    assert measured["figures"] == compare(measured)
    assert measured["format"] == 1


@pytest.mark.skipif(not RESULTS.exists(), reason="nothing measured yet")
def test_the_results_are_complete():
    measured = json.loads(RESULTS.read_text())
    assert set(results()) == set(measured)
    for section in ("agreement", "races", "linear", "store", "stability", "growth"):
        assert measured[section], section
    assert {frozenset(row) for row in measured["races"]} == {frozenset(results()["races"][0])}
    assert all(row["measured"] is not None for row in measured["figures"])
    assert all(abs(row["z"]) <= 5 for row in measured["agreement"] if row["z"] is not None)
