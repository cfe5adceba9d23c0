"""The child process of ``workers``: ``python -m benchmarks.worker CORE...`` reads requests and writes replies."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
import traceback
from functools import lru_cache
from pathlib import Path
from typing import Any

from benchmarks.contenders import load
from benchmarks.problems import Problem


def main(cores: list[int]) -> None:
    """Serve requests, one JSON object a line, until standard input closes."""
    replies = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what libraries print is no reply
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
    for line in sys.stdin:
        try:
            reply = serve(json.loads(line))
        except Exception:
            reply = {"error": traceback.format_exc().strip().splitlines()[-1]}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Train as the request says; the clock runs from the first random number to the last student's loss."""
    train = load(request["function"])
    problem = _problem(request["problem"])
    students = range(*request["students"])
    gc.collect()
    before = _reset_peak()
    start = time.perf_counter()
    losses = train(problem, students, request["seed"], request["threads"], **request["setting"])
    seconds = time.perf_counter() - start
    memory = None if before is None else _status("VmHWM") - before
    return {"seconds": seconds, "losses": [float(loss) for loss in losses], "memory": memory}


@lru_cache(maxsize=8)
def _problem(path: str) -> Problem:
    return Problem.load(Path(path))


def _reset_peak() -> int | None:
    """Forget the peak of resident memory and return what is resident now, in bytes; None where Linux is not."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(field: str) -> int:
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main([int(core) for core in sys.argv[1:]])
