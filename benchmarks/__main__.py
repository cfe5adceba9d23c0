"""``python -m benchmarks``: run everything, write results.json and the tables of docs/performance.md."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import page
from benchmarks.figures import compare
from benchmarks.growth import run_growth
from benchmarks.in_turn import run_linear, run_stability, run_store
from benchmarks.limits import Limits
from benchmarks.machine import describe_machine
from benchmarks.plot import draw_growth
from benchmarks.race import Say
from benchmarks.workers import ROOT, Workers, available_cores
from benchmarks.workloads import run_workload, workloads

RESULTS = ROOT / "benchmarks/results.json"
PAGE = ROOT / "docs/performance.md"
GROWTH = ROOT / "docs/images/growth.svg"
OTHERS = ("W4", "W5", "stability", "growth")
UPDATABLE = {"W4": "linear", "W5": "store", "stability": "stability"}
"""Workloads that stand alone, and where their results are: they may be measured anew without the rest."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; return 1 if the contenders do not do the same work."""
    options = _parse(arguments)
    start = time.perf_counter()

    def say(line: str) -> None:
        sys.stdout.write(f"[{time.perf_counter() - start:4.0f} s] {line}\n")
        sys.stdout.flush()

    cores = available_cores(options.cores)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    results = measure(options.only, cores, options.quick, say)
    results["seconds"] = round(time.perf_counter() - start, 1)
    complete = not options.quick and len(options.only) == len(_names())
    if options.update:
        results, complete = updated(json.loads(RESULTS.read_text()), results, options.only), True
    if complete or options.out:
        write(results, Path(options.out) if options.out else RESULTS)
    if complete and not options.out:
        draw_growth(results["growth"], GROWTH)
        PAGE.write_text(page.fill(PAGE.read_text(), results))
    sys.stdout.write(f"\n{page.figures(results)}\n")
    return _report_disagreement(results["agreement"])


def measure(only: Sequence[str], cores: Sequence[int], quick: bool, say: Say) -> dict[str, Any]:
    """Return the results of the named workloads; see ``docs/performance.md`` for what they are."""
    results: dict[str, Any] = {
        "format": 1,
        "date": datetime.now(UTC).date().isoformat(),
        "machine": describe_machine(),
        "agreement": [],
        "races": [],
    }
    folder = Path(tempfile.mkdtemp(prefix="kd-bench-limits-"))
    try:
        limits = Limits(folder, cores, 0.01 if quick else 0.1)
        with Workers(cores, limits.instructions) as workers:
            for name, workload in workloads(quick).items():
                if name in only:
                    found = run_workload(workload, workers, limits, say)
                    results["agreement"] += found["agreement"]
                    results["races"] += found["races"]
            results["growth"] = run_growth(workers, quick, say) if "growth" in only else []
        results["linear"] = run_linear(len(cores), quick, say) if "W4" in only else []
        results["store"] = run_store(quick, say) if "W5" in only else []
        results["stability"] = run_stability(len(cores), quick, say) if "stability" in only else []
        limits.sample()
        results["limits"] = limits.summary()
    finally:
        shutil.rmtree(folder)
    results["figures"] = compare(results)
    return results


def updated(before: dict[str, Any], results: dict[str, Any], only: Sequence[str]) -> dict[str, Any]:
    """Return earlier results with some workloads measured anew, each of which compares within itself.

    Raises:
        SystemExit: if the earlier results are of another machine.
    """
    if before["machine"] != results["machine"]:
        raise SystemExit(
            "--update: results.json was measured on another machine or with other versions; run everything"
        )
    merged = before | {UPDATABLE[name]: results[UPDATABLE[name]] for name in only}
    return merged | {"figures": compare(merged)}


def write(results: dict[str, Any], path: Path) -> None:
    """Write results as JSON, whole or not at all."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(json.dumps(results, indent=1) + "\n")
    beside.replace(path)


def _report_disagreement(rows: list[dict[str, Any]]) -> int:
    apart = [row for row in rows if row["z"] is not None and abs(row["z"]) > 5]
    for row in apart:
        sys.stdout.write(
            f"{row['workload']}: {row['contender']} ends at another training loss than the others "
            f"({row['z']} standard errors), so its times are not comparable\n"
        )
    return int(bool(apart))


def _names() -> tuple[str, ...]:
    return (*workloads(quick=False), *OTHERS)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Our engine and its peers side by side. All workloads together write benchmarks/results.json and "
        "the tables of docs/performance.md; a part of them prints its figures only.",
    )
    parser.add_argument("--only", type=_selection, default=list(_names()), help=f"of {', '.join(_names())}")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: a check that everything runs, no figures")
    parser.add_argument("--cores", type=int, default=2, help="processor cores to use at most (default 2)")
    parser.add_argument("--out", help="write the results to this file instead, and leave the page alone")
    parser.add_argument(
        "--update",
        action="store_true",
        help=f"with --only {', '.join(UPDATABLE)}: put the new figures beside the earlier ones of the same machine, in "
        "results.json and on the page",
    )
    options = parser.parse_args(arguments)
    if options.update and (options.quick or options.out or not set(options.only) <= set(UPDATABLE)):
        parser.error(f"--update needs --only with some of {', '.join(UPDATABLE)}, and neither --quick nor --out")
    return options


def _selection(text: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    unknown = [name for name in names if name not in _names()]
    if unknown:
        raise argparse.ArgumentTypeError(f"there is no workload {unknown[0]!r}; known: {', '.join(_names())}")
    return names


if __name__ == "__main__":
    sys.exit(main())
