from __future__ import annotations

from benchmarks.figures import FIGURES, best_row, compare, median_of

from .results import results

MEASURED = {row["name"]: row for row in compare(results())}


def test_ratios_are_those_of_the_best_entries():
    row = MEASURED["W1, 128 students: native over the DataLoader loop"]
    assert row["measured"] == 10_000 / 50
    assert row["reached"] is True


def test_a_figure_below_its_bound_is_not_reached():
    row = MEASURED["W1, 128 students: native over the best JAX"]
    assert row["measured"] == 75 / 50
    assert row["reached"] is False


def test_a_bound_from_above_is_reached_from_below():
    row = MEASURED["W5: 256 random rows"]
    assert (row["measured"], row["bound"], row["reached"]) == (30.0, "at most", True)
    worse = results()
    worse["store"][1]["seconds"] = 60e-6
    (row,) = (row for row in compare(worse) if row["name"] == "W5: 256 random rows")
    assert row["reached"] is False


def test_shares_are_percentages():
    assert MEASURED["W1, 128 students: native, share of the multiply-add peak"]["measured"] == 60.0


def test_streams_count_logical_bytes():
    assert MEASURED["W5: stream of soft labels"]["measured"] == 8.0


def test_what_was_not_run_is_not_reached_and_not_missed():
    row = MEASURED["W1b, 128 students: native over the DataLoader loop"]
    assert row["measured"] is None
    assert row["reached"] is None


def test_every_figure_asked_for_has_a_row():
    assert len(MEASURED) == len(FIGURES) == 11
    assert {row["name"][:2] for row in MEASURED.values()} == {"W1", "W3", "W4", "W5", "W6"}


def test_entries_that_lost_are_not_looked_at():
    row = best_row(results(), "W1", 128, "native")
    assert row is not None
    assert row["threads"] == 2
    assert median_of(results(), "W1", 8, "native") is None
