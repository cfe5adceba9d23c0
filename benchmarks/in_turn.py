"""W4, W5 and W6: functions of this process, timed in turn like the races of ``race``."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.race import Say


def in_turn(calls: Mapping[str, Callable[[], object]], *, rounds: int, seconds: float) -> dict[str, list[float]]:
    """Return the seconds of each call, round after round, the first of which only warms up.

    A call takes its turn as long as its own turns took fewer than ``seconds`` together, at least twice.
    """
    for call in calls.values():
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name, call in calls.items():
            if number >= 2 and sum(times[name]) > seconds:
                continue
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return times


def quartiles(times: list[float]) -> dict[str, Any]:
    """Return the median, both quartiles and the number of times."""
    low, middle, high = np.quantile(times, (0.25, 0.5, 0.75))
    return {"seconds": float(middle), "quartiles": [float(low), float(high)], "turns": len(times)}


def run_linear(threads: int, quick: bool, say: Say) -> list[dict[str, Any]]:
    """Race linear students against a scikit-learn loop, which takes the faster of one BLAS thread and all."""
    from threadpoolctl import threadpool_limits

    from benchmarks.linear import linear_workloads

    say("W4: linear students")
    sizes = {"students": 1_000, "bootstrap": 100, "loop": 20} if quick else {}
    found = linear_workloads(threads=threads, **sizes)
    calls: dict[str, Callable[[], object]] = {}
    for name, workload in found.items():
        if workload.baseline is not None:
            calls[name] = workload.run
            continue
        for count in {1, threads}:
            calls[f"{name}|{count}"] = _limited(workload.run, count, threadpool_limits)
    times = in_turn(calls, rounds=3 if quick else 15, seconds=6.0)
    rows = {}
    for name, workload in found.items():
        key = min((key for key in times if key.partition("|")[0] == name), key=lambda key: float(np.median(times[key])))
        scale = 1e6 / workload.students
        row = quartiles([seconds * scale for seconds in times[key]])
        rows[name] = {
            "name": name,
            "students": workload.students,
            "median": row["seconds"],
            "quartiles": row["quartiles"],
            "turns": row["turns"],
            "baseline": workload.baseline,
        }
    for row in rows.values():
        row["ratio"] = rows[row["baseline"]]["median"] / row["median"] if row["baseline"] else None
    return list(rows.values())


def _limited(run: Callable[[], object], threads: int, limit: Callable[..., Any]) -> Callable[[], object]:
    def limited() -> object:
        with limit(threads):
            return run()

    return limited


def run_stability(threads: int, quick: bool, say: Say) -> list[dict[str, Any]]:
    """Race students of one example a step against sequential PyTorch loops."""
    from benchmarks.stability import stability_workloads

    say("W6: students of one example a step")
    steps, students = (20, 2) if quick else (2_000, 16)
    found = stability_workloads(threads, steps=steps, students=students, compiled=not quick)
    times = in_turn({name: work.run for name, work in found.items()}, rounds=3 if quick else 15, seconds=8.0)
    rows = []
    for name, work in found.items():
        row = quartiles([seconds * 1e6 / (work.students * steps) for seconds in times[name]])
        place = {"name": name, "students": work.students, "steps": steps}
        rows.append(place | {"median": row["seconds"], "quartiles": row["quartiles"], "turns": row["turns"]})
    fastest = min(row["median"] for row in rows if not found[row["name"]].ours)
    for row in rows:
        row["ratio"] = fastest / row["median"] if found[row["name"]].ours else None
    return rows


def run_store(quick: bool, say: Say) -> list[dict[str, Any]]:
    """Stream soft labels and fetch 256 rows at random, with our store, with Parquet and with a memory map."""
    from benchmarks.store import memcpy, prepare, random_rows, streams

    say("W5: writing soft labels in every format")
    folder = Path(tempfile.mkdtemp(prefix="kd-bench-store-"))
    try:
        files = prepare(folder, 2_000 if quick else 100_000)
        say("W5: reading them")
        copy, copied = memcpy(1 << 20 if quick else 1 << 28)
        work = {name: (files.logical_bytes, call) for name, call in streams(files).items()}
        work["memcpy by NumPy"] = (copied, copy)
        rounds = 2 if quick else 7
        rows = []
        for name, times in in_turn({name: call for name, (_, call) in work.items()}, rounds=rounds, seconds=8).items():
            rows.append({"kind": "stream", "name": name, "bytes": work[name][0], **quartiles(times)})
        calls = random_rows(files)
        for name, times in in_turn(calls, rounds=20 if quick else 2_000, seconds=2).items():
            rows.append({"kind": "256 random rows", "name": name, **quartiles(times)})
        sizes = files.sizes()
    finally:
        shutil.rmtree(folder)
    rows += [{"kind": "file", "name": name, "bytes": size} for name, size in sizes.items()]
    return rows
