from __future__ import annotations

import json
import os

import numpy as np
import pytest

from benchmarks import __main__ as command
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.race import Entry
from benchmarks.workers import Timing
from benchmarks.workloads import _takes_part, check_agreement, workloads

from .problems import small


class Fixed:
    """Workers that reply with losses by contender."""

    def __init__(self, losses):
        self._losses = losses

    def run(self, function, problem, students, seed, layout, setting):
        return Timing(1.0, list(self._losses(function, students)), None)


def normal(mean):
    generator = np.random.default_rng(3)
    return lambda function, students: generator.normal(mean(function), 0.1, students)


PEERS = tuple(
    Contender(name, name, f"{name}:train", yardstick=name != "other")
    for name in ("torch_loops", "jax_population", "ours", "other")
)


def test_contenders_that_do_the_same_work_agree():
    rows = check_agreement(Fixed(normal(lambda function: 0.5)), small(), PEERS, 100)
    assert all(abs(row["z"]) < 4 for row in rows if row["contender"] != "other")


def test_a_contender_that_does_other_work_stands_out():
    rows = check_agreement(Fixed(normal(lambda function: 0.7 if "jax" in function else 0.5)), small(), PEERS, 100)
    z = {row["contender"]: row["z"] for row in rows}
    assert max(z, key=lambda name: abs(z[name] or 0)) == "jax_population"
    # 0.2 against the mean of two others, each with a standard error of 0.1 / 10
    assert z["jax_population"] == pytest.approx(0.2 / (0.01 * np.sqrt(1.5)), rel=0.25)
    assert z["other"] is None  # there for orientation


def test_contenders_that_share_random_numbers_do_not_vouch_for_each_other():
    twins = [Contender(name, name, f"ours:{name}") for name in ("loop", "vmap")]
    rows = check_agreement(Fixed(normal(lambda function: 0.5)), small(), twins, 10)
    assert [row["z"] for row in rows] == [None, None]


def test_populations_that_take_too_long_are_left_out():
    workload = workloads(quick=False)["W1b"]
    entry = Entry(CONTENDERS["vmap"], (1, 1), {}, 128)
    entry.seconds = [20.0]
    problem = small(epochs=30)
    assert not _takes_part(entry, 1024, workload, problem)  # 160 seconds
    assert _takes_part(entry, 32, workload, problem)
    loop = Entry(CONTENDERS["dataloader"], (1, 1), {}, 4)
    loop.seconds = [1.0]
    assert [size for size in workload.populations if _takes_part(loop, size, workload, problem)] == [1]
    assert not _takes_part(None, 8, workload, problem)


def test_workloads_are_those_asked_for():
    found = workloads(quick=False)
    assert set(found) == {"W1", "W1b", "W3"}
    for name in ("W1", "W1b"):
        assert found[name].populations == (1, 8, 32, 128, 1024)
        assert found[name].main == 128
        assert set(found[name].contenders) == set(CONTENDERS)
    assert found["W3"].populations == (1000,)


@pytest.mark.parametrize(("name", "widths"), [("W1", (64, 32, 10)), ("W1b", (64, 128, 128, 10))])
def test_digits_are_trained_as_asked(name, widths):
    problem = workloads(quick=False)[name].make()
    assert (problem.widths, problem.epochs, problem.batch_size, problem.learning_rate) == (widths, 30, 64, 5e-3)
    assert (problem.mixing, problem.temperature, len(problem.inputs)) == (1.0, 1.0, 1077)


def test_unknown_workloads_are_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["--only", "W2"])
    assert "there is no workload 'W2'" in capsys.readouterr().err


def test_results_are_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    command.write({"a": 1}, path)
    with pytest.raises(TypeError):
        command.write({"a": object()}, path)
    assert json.loads(path.read_text()) == {"a": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["results.json"]


@pytest.mark.slow
def test_a_quick_run_measures_every_part(tmp_path, capsys):
    affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    page = command.PAGE.read_text()
    try:
        assert command.main(["--quick", "--only", "W3,W4,growth", "--out", str(tmp_path / "results.json")]) == 0
    finally:
        if affinity is not None:
            os.sched_setaffinity(0, affinity)
    results = json.loads((tmp_path / "results.json").read_text())
    assert {row["contender"] for row in results["races"]} >= {"dataloader", "indexing", "sklearn", "loop", "vmap"}
    assert {row["sweep"] for row in results["growth"]} == {"students", "examples", "classes", "responses"}
    assert results["linear"]
    assert results["store"] == []
    assert command.PAGE.read_text() == page  # a part of the figures is not for the page
    assert "W4, 100,000 students" in capsys.readouterr().out
