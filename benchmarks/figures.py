"""The figures asked for, and what was measured of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Results = dict[str, Any]


class Figure(NamedTuple):
    """One figure asked for.

    Attributes:
        name: what is measured.
        asked: the bound.
        unit: printed behind the number.
        measure: from results to the number, or None if they lack it.
        at_least: whether more is better.
    """

    name: str
    asked: float
    unit: str
    measure: Callable[[Results], float | None]
    at_least: bool = True


def median_of(results: Results, workload: str, students: int, contender: str) -> float | None:
    """Return the µs per student-epoch of a contender's best entry."""
    row = best_row(results, workload, students, contender)
    return None if row is None else float(row["median"])


def best_row(results: Results, workload: str, students: int, contender: str) -> dict[str, Any] | None:
    """Return the row of a contender's best entry in one race."""
    for row in results.get("races", []):
        if row["best"] and (row["workload"], row["students"], row["contender"]) == (workload, students, contender):
            return dict(row)
    return None


def ratio(workload: str, students: int, slow: str, fast: str) -> Callable[[Results], float | None]:
    """Return the measure "how many times faster is ``fast`` than ``slow``"."""

    def measure(results: Results) -> float | None:
        times = [median_of(results, workload, students, name) for name in (slow, fast)]
        return None if None in times else times[0] / times[1]  # type: ignore[operator]

    return measure


def share_of_peak(workload: str, students: int, contender: str) -> Callable[[Results], float | None]:
    """Return the measure "how many per cent of the machine's multiply-add peak"."""

    def measure(results: Results) -> float | None:
        row = best_row(results, workload, students, contender)
        return None if row is None else 100 * float(row["share_of_peak"])

    return measure


def _sequential(results: Results) -> float | None:
    """How many times faster native is on W3 than the tensor loop in one process, student after student."""
    rows = [row for row in results.get("races", []) if (row["workload"], row["contender"]) == ("W3", "indexing")]
    loop = min((float(row["median"]) for row in rows if row["processes"] == 1), default=None)
    native = median_of(results, "W3", 1000, "native")
    return None if loop is None or native is None else loop / native


def _linear(name: str) -> Callable[[Results], float | None]:
    return lambda results: next((row["ratio"] for row in results.get("linear", []) if row["name"] == name), None)


def _stability(results: Results) -> float | None:
    """How many times faster the best of our layouts is on W6 than the fastest sequential loop."""
    return max((row["ratio"] for row in results.get("stability", []) if row["ratio"]), default=None)


def _store(results: Results, kind: str) -> dict[str, Any] | None:
    rows = results.get("store", [])
    return next((row for row in rows if (row["kind"], row["name"]) == (kind, "our store")), None)


def _stream(results: Results) -> float | None:
    row = _store(results, "stream")
    return None if row is None else row["bytes"] / row["seconds"] / 1e9


def _random_rows(results: Results) -> float | None:
    row = _store(results, "256 random rows")
    return None if row is None else row["seconds"] * 1e6


FIGURES = (
    Figure("W1, 128 students: native over the DataLoader loop", 150, "x", ratio("W1", 128, "dataloader", "native")),
    Figure("W1, 128 students: vmap over the DataLoader loop", 10, "x", ratio("W1", 128, "dataloader", "vmap")),
    Figure("W1, 128 students: native over the best JAX", 2, "x", ratio("W1", 128, "jax", "native")),
    Figure("W1, 128 students: native, share of the multiply-add peak", 50, "%", share_of_peak("W1", 128, "native")),
    Figure("W1b, 128 students: native over the DataLoader loop", 22, "x", ratio("W1b", 128, "dataloader", "native")),
    Figure("W1b, 128 students: native, share of the multiply-add peak", 75, "%", share_of_peak("W1b", 128, "native")),
    Figure("W3, 1,000 students: native over the sequential tensor loop, torch's fastest Adam", 100, "x", _sequential),
    Figure("W4, 100,000 students: over a scikit-learn loop", 400, "x", _linear("W4")),
    Figure("W6, one example a step: over a sequential loop, torch's fastest SGD", 20, "x", _stability),
    Figure("W5: stream of soft labels", 5, "GB/s", _stream),
    Figure("W5: 256 random rows", 50, "µs", _random_rows, at_least=False),
)


def compare(results: Results) -> list[dict[str, Any]]:
    """Return a row for each figure: what was asked, what was measured, and whether that is enough."""
    rows = []
    for figure in FIGURES:
        value = figure.measure(results)
        reached = None if value is None else (value >= figure.asked) == figure.at_least or value == figure.asked
        rows.append(
            {
                "name": figure.name,
                "asked": figure.asked,
                "bound": "at least" if figure.at_least else "at most",
                "unit": figure.unit,
                "measured": value,
                "reached": reached,
            }
        )
    return rows
