"""``python -m benchmarks.profile``: where the kernel's time goes, by what it computes, as Linux's ``perf`` samples it.

The kernel's symbols are functions of C++ that are not inlined; each belongs to one part. The share of the multiply-add
peak that the matrix products alone reach follows: all operations over the time of the products.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.contenders import ours
from benchmarks.limits import Limits
from benchmarks.problems import Problem, digits, soft_labels
from benchmarks.workers import ROOT, available_cores

PARTS = {
    "matrix products": r"tile|strip|multiply|product|transpose",
    "optimiser, biases, activations": r"backward|forward|update|adam",
    "batches and bookkeeping": r"Workspace::train|gather|train_students|run",
    "loss": r"distillation|softmax|squared|loss",
    "random numbers, orders": r"philox|normal|order|sort",
}
"""What the kernel computes, by patterns of the symbols that compute it; the first that matches counts."""
WORKLOADS = {"W1": ((32,), 4096), "W1b": ((128, 128), 512)}
"""Hidden layers and students: seconds of work each."""
_LINE = re.compile(r"^\s*([\d.]+)%\s+(\S+)\s+\[\.\]\s+(.*)$")


def main() -> int:
    """Print a table, a row a part; return 1 without ``perf``."""
    if shutil.which("perf") is None:
        sys.stdout.write("perf is not installed (Debian and Ubuntu: apt-get install linux-perf)\n")
        return 1
    found = {name: profile(name) for name in WORKLOADS}
    names = list(found)
    sys.stdout.write("| share of the kernel's time | " + " | ".join(names) + " |\n")
    sys.stdout.write("| --- |" + " ---: |" * len(names) + "\n")
    for part in [*PARTS, "products at, of peak", "all at, of peak"]:
        cells = " | ".join(f"{100 * found[name].get(part, 0.0):.0f} %" for name in names)
        sys.stdout.write(f"| {part} | {cells} |\n")
    return 0


def profile(name: str) -> dict[str, float]:
    """Return the share of each part of one workload, trained by one thread, and the shares of the peak."""
    core = available_cores(1)
    with tempfile.TemporaryDirectory() as folder:
        data, timing = Path(folder) / "perf.data", Path(folder) / "timing.json"
        command = ["perf", "record", "-q", "-e", "cpu-clock", "-F", "2000", "-o", str(data)]
        subprocess.run([*command, sys.executable, "-m", __spec__.name, name, str(timing)], check=True, cwd=ROOT)
        report = ["perf", "report", "-i", str(data), "--no-children", "--stdio", "--sort", "dso,symbol"]
        text = subprocess.run(report, capture_output=True, text=True, check=True).stdout
        limits = Limits(Path(folder), core, 0.1)
        limits.sample()
        flops = json.loads(timing.read_text())["flops"]
        whole = flops / limits.peak(0)
    shares = parts_of(text.splitlines())
    return {**shares, "products at, of peak": whole / shares["matrix products"], "all at, of peak": whole}


def parts_of(lines: Iterable[str]) -> Mapping[str, float]:
    """Return each part's share of the kernel's samples, from the lines of ``perf report``."""
    totals = dict.fromkeys(PARTS, 0.0)
    for line in lines:
        match = _LINE.match(line)
        if match and "kernel.so" in match[2]:
            part = next((part for part, pattern in PARTS.items() if re.search(pattern, match[3])), None)
            totals[part or "batches and bookkeeping"] += float(match[1])
    whole = sum(totals.values()) or 1.0
    return {part: share / whole for part, share in totals.items()}


def problem_of(name: str) -> Problem:
    """Return the workload's problem."""
    return digits(name, WORKLOADS[name][0], soft_labels())


def train(name: str, timing: Path) -> None:
    """Train a population with one thread and write operations a second; what ``perf`` watches."""
    problem, students = problem_of(name), WORKLOADS[name][1]
    ours.train(problem, range(8), 0, 1, "native", 1024)
    start = time.perf_counter()
    ours.train(problem, range(students), 1, 1, "native", 1024)
    seconds = time.perf_counter() - start
    timing.write_text(json.dumps({"flops": problem.flops_per_epoch * problem.epochs * students / seconds}))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        train(sys.argv[1], Path(sys.argv[2]))
    else:
        sys.exit(main())
