"""Results by hand, small enough to recalculate."""

from __future__ import annotations

from typing import Any

from benchmarks.figures import compare


def race_row(contender: str, median: float, threads: int = 1, *, best: bool = True, **more: Any) -> dict[str, Any]:
    return {
        "workload": "W1", "students": 128, "contender": contender, "processes": 1, "threads": threads, "setting": {},
        "trained_per_turn": 128, "median": median, "quartiles": [0.9 * median, 1.1 * median], "turns": 5,
        "warm_up_seconds": 1.0, "memory_bytes": None, "best": best, "flops": 1, "share_of_peak": 0.6, **more,
    }  # fmt: skip


def results() -> dict[str, Any]:
    rate = {"median": 1e11, "quartiles": [0.9e11, 1.1e11]}
    rates = ("flops", "copy_large", "copy_l2")
    limits = {f"{name}_{cores}": rate for name in rates for cores in ("one_core", "all_cores")}
    found: dict[str, Any] = {
        "format": 1,
        "date": "2026-01-01",
        "seconds": 600.0,
        "machine": {"processor": "a processor", "cores": 4, "memory_gb": 8, "versions": {"Python": "3.11"}},
        "limits": {"instructions": "avx2", "cores": 2, **limits},
        "agreement": [
            {"workload": "W1", "contender": "vmap", "students": 9, "loss": 0.5, "standard_error": 0.01, "z": 0.1}
        ],
        "races": [
            race_row("dataloader", 10_000.0),
            race_row("jax", 75.0, setting={"chunk_size": 32}),
            race_row("native", 70.0, best=False),
            race_row("native", 50.0, threads=2),
        ],
        "linear": [
            {"name": "W4", "students": 1000, "median": 0.5, "quartiles": [0.4, 0.6], "baseline": "loop", "ratio": 420.0}
        ],
        "stability": [
            {"name": "ours: native, 2 threads", "students": 8, "steps": 100, "ratio": 30.0}
            | {"median": 5.0, "quartiles": [4.9, 5.1], "turns": 9},
            {"name": "PyTorch loop, fused SGD", "students": 1, "steps": 100, "ratio": None}
            | {"median": 150.0, "quartiles": [150.0, 150.0], "turns": 9},
        ],
        "store": [
            {"kind": "stream", "name": "our store", "bytes": 16e9, "seconds": 2.0, "quartiles": [2.0, 2.0], "turns": 3},
            {"kind": "256 random rows", "name": "our store", "seconds": 30e-6, "quartiles": [3e-5, 3e-5], "turns": 9},
        ],
        "growth": [
            {"path": "native", "sweep": "students", "value": size, "seconds": size / 1e3, "memory_bytes": 10 * size**2}
            for size in (16, 64, 256)
        ],
    }
    found["figures"] = compare(found)
    return found
