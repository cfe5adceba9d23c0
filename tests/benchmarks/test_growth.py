from __future__ import annotations

import pytest

from benchmarks.growth import _target, slopes
from benchmarks.plot import draw_growth

from .results import results


def test_slopes_are_exponents():
    (row,) = slopes(results()["growth"])
    assert (row["path"], row["sweep"], row["from"], row["to"]) == ("native", "students", 16, 256)
    assert row["time_slope"] == pytest.approx(1.0)
    assert row["memory_slope"] == pytest.approx(2.0)


def test_unknown_memory_has_no_slope():
    rows = [{**row, "memory_bytes": None} for row in results()["growth"]]
    assert slopes(rows)[0]["memory_slope"] is None


def test_a_target_of_more_responses_holds_them_in_memory():
    few, many = _target(1), _target(16)
    assert many["memory_bytes"] - few["memory_bytes"] >= 15 * 1000 * 10 * 4
    assert few["seconds"] > 0


def test_the_figure_is_the_same_for_the_same_rows(tmp_path):
    pytest.importorskip("matplotlib")
    for name in ("a.svg", "b.svg"):
        draw_growth(results()["growth"], tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "students S" in (tmp_path / "a.svg").read_text()
