"""How time and memory of our own paths grow: with students, examples, classes and responses."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterable
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS
from benchmarks.problems import Problem
from benchmarks.race import Say
from benchmarks.workers import ContenderError, Workers

SWEEPS: dict[str, tuple[int, ...]] = {
    "students": (16, 64, 256, 1024),
    "examples": (250, 1000, 4000, 16000),
    "classes": (2, 10, 50, 250),
    "responses": (1, 4, 16, 64),
}
BASE = {"students": 64, "examples": 1000, "classes": 10}


def run_growth(workers: Workers, quick: bool, say: Say) -> list[dict[str, Any]]:
    """Return one row for each backend, sweep and value: median seconds, and bytes of memory at the peak.

    A fresh process trains for each value, after it has trained two students to load its code, so that memory freed
    by one does not hide what the next takes. Each process has one thread.
    """
    rows: list[dict[str, Any]] = []
    for backend in ("native", "vmap"):
        for sweep in ("students", "examples", "classes"):
            if backend == "vmap" and sweep != "students" and rows:
                continue  # one backend tells how work grows; memory and overhead with students differ
            say(f"growth: {backend}, {sweep}")
            values = SWEEPS[sweep][:2] if quick else SWEEPS[sweep]
            try:
                rows += [_point(workers, backend, sweep, value) for value in values]
            except ContenderError as failure:
                say(f"  left out: {failure}")
                break
    say("growth: responses")
    return rows + [_target(responses) for responses in (SWEEPS["responses"][:2] if quick else SWEEPS["responses"])]


def slopes(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the least-squares slopes of log time and log memory against log size, for each curve."""
    curves: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        curves.setdefault((row["path"], row["sweep"]), []).append(row)
    return [
        {
            "path": path,
            "sweep": sweep,
            "from": points[0]["value"],
            "to": points[-1]["value"],
            "time_slope": _slope(points, "seconds"),
            "memory_slope": _slope(points, "memory_bytes"),
        }
        for (path, sweep), points in curves.items()
    ]


def _slope(points: list[dict[str, Any]], field: str) -> float | None:
    pairs = [(point["value"], point[field]) for point in points if point[field]]
    if len(pairs) < 2:
        return None
    sizes, values = np.log(np.array(pairs, float)).T
    return round(float(np.polyfit(sizes, values, 1)[0]), 2)


def _point(workers: Workers, backend: str, sweep: str, value: int) -> dict[str, Any]:
    size = {**BASE, sweep: value}
    problem = _problem(size["examples"], size["classes"])
    function = CONTENDERS[backend].function
    setting = {"backend": backend}
    workers.stop()
    workers.run(function, problem, 2, 0, (1, 1), setting)
    first = workers.run(function, problem, size["students"], 1, (1, 1), setting)
    more = [workers.run(function, problem, size["students"], seed, (1, 1), setting).seconds for seed in (2, 3)]
    return {
        "path": backend,
        "sweep": sweep,
        "value": value,
        "seconds": median([first.seconds, *more]),
        "memory_bytes": first.memory,
    }


def _problem(examples: int, classes: int) -> Problem:
    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((examples, 64), dtype=np.float32)
    targets = generator.dirichlet(np.ones(classes), (1, examples)).astype(np.float32)
    labels = generator.integers(0, classes, examples)
    return Problem(f"growth {examples} {classes}", inputs, labels, targets, (32,), epochs=3)


def _target(responses: int) -> dict[str, Any]:
    """Time one student's target: the mean of k posterior draws for 1,000 examples of 10 classes."""
    from kd_uncertainty.population.targets import exact_probabilities

    logits = np.random.default_rng(0).standard_normal((1000, responses, 10), dtype=np.float32)
    times = []
    for _ in range(15):
        start = time.perf_counter()
        exact_probabilities(logits)
        times.append(time.perf_counter() - start)
    tracemalloc.start()
    exact_probabilities(logits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return {
        "path": "target",
        "sweep": "responses",
        "value": responses,
        "seconds": median(times),
        "memory_bytes": peak + logits.nbytes,
    }
