from __future__ import annotations

import time

import pytest

from benchmarks.in_turn import in_turn, quartiles, run_linear


def test_calls_alternate_after_a_warm_up():
    order = []
    times = in_turn({name: (lambda name=name: order.append(name)) for name in "ab"}, rounds=3, seconds=60)
    assert "".join(order) == "ab" + "ab" * 3
    assert [len(found) for found in times.values()] == [3, 3]


def test_slow_calls_stop_early_but_not_before_two_turns():
    times = in_turn({"slow": lambda: time.sleep(0.02), "fast": lambda: None}, rounds=9, seconds=0.03)
    assert len(times["slow"]) == 2
    assert len(times["fast"]) == 9
    assert min(times["slow"]) >= 0.02


def test_quartiles():
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == {"seconds": 3.0, "quartiles": [2.0, 4.0], "turns": 5}


def test_linear_students_are_compared_with_their_own_loop():
    rows = {row["name"]: row for row in run_linear(1, quick=True, say=lambda line: None)}
    for row in rows.values():
        if row["baseline"]:
            assert row["ratio"] == pytest.approx(rows[row["baseline"]]["median"] / row["median"])
            assert row["ratio"] > 1  # a loop of Python calls is no faster than one matrix product
        else:
            assert row["ratio"] is None
