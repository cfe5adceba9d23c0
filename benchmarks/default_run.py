"""Where the seconds of a default run go: imports, Kedro's start, each stage, tracking, exit.

    python -m benchmarks.default_run [--repeats 3] [--json FILE] [-- OPTIONS OF kedro run]

Each repeat runs ``kedro run`` on a copy of the project without data, in a fresh process that times itself. The parts
exclude one another and add up to the wall time; seconds of the median run are shown, and the processor seconds of all
its processes. Measure on idle cores, with files cached (the first repeat warms them and is not counted).
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
STAGES = (
    "ingestion", "teachers", "responses", "students", "propagation", "deviations", "teacher_comparison", "reporting"
)  # fmt: skip
PARTS = ("imports", "start", *STAGES, "tracking", "exit")
MEANING = {
    "imports": "modules, whenever they are imported",
    "start": "Python, Kedro's command line, configuration, catalog, guards",
    "tracking": "the MLflow hook: store, runs, figures, files, the registered student",
    "exit": "the table on the terminal, closing down",
}


class Clock:
    """Wall and processor seconds of parts that exclude one another; a part inside another interrupts it."""

    def __init__(self, part: str, started: float) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self.base = part
        self._open: list[str] = []
        self._thread = threading.get_ident()
        self._wall, self._cpu = started, 0.0

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what happens inside as ``name``; other threads are not watched."""
        if threading.get_ident() != self._thread:
            yield
            return
        self.read()
        self._open.append(name)
        try:
            yield
        finally:
            self.read()
            self._open.pop()

    def read(self) -> None:
        """Book the time since the last reading."""
        wall, cpu = time.time(), sum(os.times()[:4])
        name = self._open[-1] if self._open else self.base
        self.seconds[name] += wall - self._wall
        self.processor[name] += cpu - self._cpu
        self._wall, self._cpu = wall, cpu

    def watch(self, owner: Any, name: str, part: Callable[..., str]) -> None:
        """Replace a function by one that is timed; ``part`` names it from its arguments."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.part(part(*args)):
                return function(*args, **kwargs)

        setattr(owner, name, timed)


def run_timed(output: Path, started: float, arguments: list[str]) -> None:
    """Run ``kedro run`` in this process and write the seconds of its parts."""
    clock = Clock("start", started)
    clock.watch(importlib._bootstrap, "_find_and_load", lambda *_: "imports")  # type: ignore[attr-defined]
    from kedro.framework.cli import main
    from kedro.runner import SequentialRunner
    from kedro.runner.task import Task

    from kd_uncertainty.hooks.tracking import TrackingHooks

    for name in [name for name, method in vars(TrackingHooks).items() if hasattr(method, "kedro_impl")]:
        clock.watch(TrackingHooks, name, lambda *_: "tracking")
    clock.watch(Task, "execute", lambda task: task.node.namespace.split(".")[1])
    run = SequentialRunner.run

    def runner(*args: Any, **kwargs: Any) -> Any:
        try:
            return run(*args, **kwargs)
        finally:
            clock.read()
            clock.base = "exit"

    SequentialRunner.run = runner
    sys.argv = ["kedro", "run", *arguments]
    try:
        main()
    finally:
        clock.read()
        output.write_text(json.dumps({"ended": time.time(), "wall": clock.seconds, "processor": clock.processor}))


def one_run(arguments: list[str]) -> dict[str, Any]:
    """Run a copy of the project without data in a fresh process; return the seconds of its parts."""
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder) / "project"
        for name in ("src", "conf"):
            shutil.copytree(ROOT / name, project / name)
        shutil.copy(ROOT / "pyproject.toml", project)
        output = Path(folder) / "seconds.json"
        environment = os.environ | {"KEDRO_DISABLE_TELEMETRY": "1", "PYTHONPATH": str(project / "src")}
        before, started = os.times(), time.time()
        command = [sys.executable, "-P", __file__, "--timed", str(output), str(started), *arguments]
        done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
        ended, after = time.time(), os.times()
        if done.returncode:
            raise SystemExit(f"kedro run failed:\n{done.stdout}\n{done.stderr}")
        seconds: dict[str, Any] = json.loads(output.read_text())
    seconds["wall"]["exit"] = seconds["wall"].get("exit", 0.0) + ended - seconds.pop("ended")
    seconds["total"] = ended - started
    seconds["processor_total"] = sum(after[2:4]) - sum(before[2:4])
    return seconds


def table(seconds: dict[str, Any]) -> str:
    """One line a part, in Markdown."""
    lines = ["| part | wall, s | processor, s | |", "| --- | ---: | ---: | --- |"]
    for part in PARTS:
        wall, processor = seconds["wall"].get(part, 0.0), seconds["processor"].get(part, 0.0)
        lines.append(f"| {part} | {wall:.2f} | {processor:.2f} | {MEANING.get(part, 'stage')} |")
    lines.append(f"| all | {seconds['total']:.2f} | {seconds['processor_total']:.2f} | |")
    return "\n".join(lines)


def main() -> None:
    """Read the arguments, repeat, print the median run."""
    if sys.argv[1:2] == ["--timed"]:
        run_timed(Path(sys.argv[2]), float(sys.argv[3]), sys.argv[4:])
        return
    parser = argparse.ArgumentParser(description="Where the seconds of a default run go.")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, help="also write all runs there")
    parser.add_argument("arguments", nargs="*", help="options of kedro run, after --")
    options = parser.parse_args()
    runs = [one_run(options.arguments) for _ in range(options.repeats + 1)][1:]
    runs.sort(key=lambda one: float(one["total"]))
    if options.json:
        options.json.write_text(json.dumps(runs, indent=1))
    print(table(runs[len(runs) // 2]))  # noqa: T201


if __name__ == "__main__":
    main()
