"""W6: everybody trains the same student, and the ratio is to the fastest loop."""

from __future__ import annotations

import pytest
import torch

from benchmarks import __main__ as command
from benchmarks.in_turn import run_stability
from benchmarks.stability import LOOPS, Loop, make_steps, population

from .results import results


@pytest.mark.parametrize("kind", LOOPS)
def test_the_loops_train_the_students_of_the_population(kind):
    data = make_steps(60)
    ours = population(data, 3, threads=2)
    loop = Loop(kind)
    for student in (2, 0):  # one after another, each from its own start
        for name, values in loop.train(data, student).items():
            torch.testing.assert_close(ours[name][student], values, atol=2e-6, rtol=0.0)


def test_our_students_are_compared_with_the_fastest_loop():
    rows = run_stability(2, quick=True, say=lambda line: None)
    ours, loops = [row for row in rows if row["ratio"]], [row for row in rows if row["ratio"] is None]
    assert [row["name"] for row in ours] == ["ours: native, 1 thread", "ours: native, 2 threads"]
    assert len(loops) == len(LOOPS)
    fastest = min(row["median"] for row in loops)
    for row in ours:
        assert row["ratio"] == pytest.approx(fastest / row["median"])


def test_workloads_measured_anew_stand_beside_the_earlier_ones_of_the_same_machine():
    before, after = results(), results()
    after["stability"][0]["ratio"] = 7.0
    after["linear"] = []
    merged = command.updated(before, after, ["stability"])
    assert merged["linear"] == before["linear"]
    (row,) = (row for row in merged["figures"] if row["name"].startswith("W6"))
    assert (row["measured"], row["reached"]) == (7.0, False)
    with pytest.raises(SystemExit, match="another machine"):
        command.updated(before, after | {"machine": {}}, ["stability"])


@pytest.mark.parametrize("arguments", [["--only", "W3"], ["--only", "W4", "--quick"], []])
def test_what_does_not_stand_alone_is_not_updated_alone(arguments):
    with pytest.raises(SystemExit):
        command.main([*arguments, "--update"])
