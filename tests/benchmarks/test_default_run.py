"""The clock of the default run: parts exclude one another and add up."""

from __future__ import annotations

import json
import sys
import threading
from types import SimpleNamespace

import pytest

from benchmarks import default_run
from benchmarks.default_run import PARTS, Clock, table


@pytest.fixture
def now(monkeypatch):
    """A clock face that the test turns."""
    face = SimpleNamespace(wall=100.0, cpu=0.0)

    def fail():
        face.wall = 101.0
        raise KeyError

    face.fail = fail
    monkeypatch.setattr(default_run.time, "time", lambda: face.wall)
    monkeypatch.setattr(default_run.os, "times", lambda: (face.cpu, 0.0, 0.0, 0.0, face.wall))
    return face


def test_a_part_inside_another_interrupts_it(now):
    clock = Clock("start", started=98.0)
    with clock.part("teachers"):
        now.wall, now.cpu = 103.0, 2.0
        with clock.part("imports"):
            now.wall = 107.0
        now.wall, now.cpu = 108.0, 2.5
    now.wall = 108.5
    clock.read()
    assert clock.seconds == {"start": 2.5, "teachers": 4.0, "imports": 4.0}
    assert clock.processor == {"start": 0.0, "teachers": 2.5, "imports": 0.0}
    assert sum(clock.seconds.values()) == now.wall - 98.0


def test_an_error_ends_its_part_and_other_threads_are_not_watched(now):
    clock = Clock("start", started=100.0)
    clock.watch(now, "fail", lambda: "tracking")
    with pytest.raises(KeyError):
        now.fail()

    def elsewhere():
        with clock.part("imports"):
            now.wall = 105.0

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    clock.read()
    assert clock.seconds == {"tracking": 1.0, "start": 4.0}


def test_a_watched_function_works_as_before_and_is_named_by_its_arguments(now):
    class Task:
        def execute(self, stage: str, *, seconds: float) -> str:
            """What it does."""
            now.wall += seconds
            return stage.upper()

    clock = Clock("start", started=100.0)
    clock.watch(Task, "execute", lambda _, stage: stage)
    assert Task().execute("students", seconds=3.0) == "STUDENTS"
    assert Task().execute("teachers", seconds=1.0) == "TEACHERS"
    assert Task.execute.__doc__ == "What it does."
    clock.read()
    assert clock.seconds == {"start": 0.0, "students": 3.0, "teachers": 1.0}


def test_the_table_has_every_part_and_the_whole():
    seconds = {"wall": {"imports": 2.0, "students": 1.5}, "processor": {"imports": 1.9}}
    lines = table(seconds | {"total": 3.5, "processor_total": 1.9}).splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:]] == [*PARTS, "all"]
    assert lines[2].startswith("| imports | 2.00 | 1.90 |")
    assert lines[-1].startswith("| all | 3.50 | 1.90 |")


@pytest.mark.slow
def test_the_parts_of_a_run_add_up_to_its_wall_time(tmp_path, monkeypatch, capsys):
    output = tmp_path / "seconds.json"
    arguments = ["default_run", "--repeats", "1", "--json", str(output), "--", "--env", "test"]
    monkeypatch.setattr(sys, "argv", arguments)
    default_run.main()
    (run,) = json.loads(output.read_text())
    assert set(run["wall"]) == set(PARTS)
    assert all(seconds > 0.0 for seconds in run["wall"].values())
    assert sum(run["wall"].values()) == pytest.approx(run["total"], rel=0.01)
    assert "| tracking |" in capsys.readouterr().out


@pytest.mark.slow
def test_a_run_that_fails_says_why():
    with pytest.raises(SystemExit, match="no_such_pipeline"):
        default_run.one_run(["--pipelines", "no_such_pipeline"])
