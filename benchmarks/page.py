"""The tables of docs/performance.md, a pure function of results.json."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from benchmarks.contenders import CONTENDERS
from benchmarks.figures import Results, best_row
from benchmarks.growth import slopes

MARKED = re.compile(r"(<!-- bench: ([\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)
RACES = {"W1": (1, 8, 32, 128, 1024), "W1b": (1, 8, 32, 128, 1024)}


def fill(text: str, results: Results) -> str:
    """Return a page with every part between ``<!-- bench: NAME -->`` and ``<!-- end -->`` written anew.

    Raises:
        KeyError: if there is no part of that name.
    """
    return MARKED.sub(lambda found: f"{found[1]}{PARTS[found[2]](results)}\n{found[3]}", text)


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table; all columns but the first are aligned to the right."""
    lines = [header, ["---", *["---:"] * (len(header) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with so many significant digits, thousands apart; a dash for None."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - int(f"{value:e}".partition("e")[2]))
    return f"{round(value, decimals):,.{decimals}f}"


def figures(results: Results) -> str:
    """Asked, measured, reached."""
    rows = []
    for row in results["figures"]:
        bound = "≥" if row["bound"] == "at least" else "≤"
        unit = row["unit"] if row["unit"] == "x" else f" {row['unit']}"
        measured = number(row["measured"]) + (unit if row["measured"] is not None else "")
        reached = {None: "not measured", True: "yes", False: "**no**"}[row["reached"]]
        rows.append([row["name"], f"{bound} {row['asked']:g}{unit}", measured, reached])
    return markdown(["figure", "asked", "measured", "reached"], rows)


def _race(workload: str) -> Any:
    def table(results: Results) -> str:
        populations = RACES[workload]
        rows = []
        for name, contender in CONTENDERS.items():
            cells = [best_row(results, workload, population, name) for population in populations]
            if any(cells):
                main = cells[populations.index(128)]
                share = "–" if main is None else f"{100 * main['share_of_peak']:.1f} %"
                rows.append([contender.label, *(_cell(cell) for cell in cells), _layout(main), share])
        return markdown(["µs per student and epoch, S =", *map(str, populations), "at 128 with", "of peak"], rows)

    return table


def _others(results: Results) -> str:
    rows = []
    for workload, students in (("W3", 1000),):
        for name, contender in CONTENDERS.items():
            row = best_row(results, workload, students, name)
            if row is not None:
                rows.append([f"{workload}, {students:,} students", contender.label, _cell(row), _layout(row)])
    return markdown(["workload", "contender", "µs per student and epoch", "with"], rows)


def _cell(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    low, high = row["quartiles"]
    return f"{number(row['median'])} ±{50 * (high - low) / row['median']:.0f} %"


def _layout(row: dict[str, Any] | None) -> str:
    if row is None:
        return "–"
    processes, threads = row["processes"], row["threads"]
    words = [f"{processes} processes" if processes > 1 else f"{threads} thread{'s' if threads > 1 else ''}"]
    setting = row["setting"]
    if row["contender"] in ("jax", "vmap"):
        words.append(f"chunks of {setting['chunk_size']}")
    if "adam" in setting:
        words.append(f"{setting['adam']} Adam")
    return ", ".join(words)


def limits(results: Results) -> str:
    """The machine and its limits."""
    machine, rates = results["machine"], results["limits"]
    rows = []
    for name, label, scale, unit in (
        ("flops", f"multiply-adds in registers ({rates['instructions']}), two operations each", 1e9, "Gflop/s"),
        ("copy_large", "memcpy of 128 MiB", 1e9, "GB/s copied"),
        ("copy_l2", "memcpy of 192 KiB, which stays in cache", 1e9, "GB/s copied"),
    ):
        cells = [f"{number(rates[f'{name}_{cores}']['median'] / scale)} {unit}" for cores in ("one_core", "all_cores")]
        rows.append([label, *cells])
    table = markdown(["limit", "one core", f"{rates['cores']} cores"], rows)
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{table}\n\nMachine: {machine['processor']}, {rates['cores']} of {machine['cores']} cores, "
        f"{machine['memory_gb']} GB. {versions}. {results['date']}; the whole benchmark took "
        f"{results['seconds'] / 60:.0f} minutes."
    )


def agreement(results: Results) -> str:
    """Whether the contenders learn the same, in one sentence."""
    rows = [row for row in results["agreement"] if row["z"] is not None]
    worst = max(rows, key=lambda row: abs(row["z"]))
    return (
        f"The mean losses at the end agree: of {len(rows)} comparisons the largest difference, that of "
        f"{CONTENDERS[worst['contender']].label} on {worst['workload']}, is {abs(worst['z']):.1f} standard errors."
    )


def linear(results: Results) -> str:
    """W4."""
    rows = [
        [
            row["name"],
            f"{row['students']:,}",
            number(row["median"]),
            "–" if row["ratio"] is None else f"{number(row['ratio'])}x",
        ]
        for row in results["linear"]
    ]
    return markdown(["linear students, 200 x 20", "students", "µs a student", "over its loop"], rows)


def store(results: Results) -> str:
    """W5."""
    cells: dict[str, list[str]] = {}
    for row in results["store"]:
        if row["kind"] == "stream":
            cells.setdefault(row["name"], ["–", "–"])[0] = number(row["bytes"] / row["seconds"] / 1e9)
        elif row["kind"] == "256 random rows":
            cells.setdefault(row["name"], ["–", "–"])[1] = number(row["seconds"] * 1e6)
    rows = [[name, *pair] for name, pair in cells.items() if "raw" not in name]
    return markdown(["8 draws x 100 classes", "stream, GB/s", "256 random rows, µs"], rows)


def stability(results: Results) -> str:
    """W6."""
    rows = [
        [
            row["name"],
            str(row["students"]),
            f"{number(row['median'])} ±{50 * (row['quartiles'][1] - row['quartiles'][0]) / row['median']:.0f} %",
            "–" if row["ratio"] is None else f"{number(row['ratio'])}x",
        ]
        for row in results["stability"]
    ]
    return markdown(["30-128-128-5, SGD, batch 1", "students", "µs a step of a student", "over the fastest loop"], rows)


def growth(results: Results) -> str:
    """Slopes of the growth curves."""
    rows = []
    for row in slopes(results["growth"]):
        slope = ["–" if row[field] is None else f"{row[field]:.2f}" for field in ("time_slope", "memory_slope")]
        rows.append([f"{row['path']}: {row['sweep']} {row['from']:,} to {row['to']:,}", *slope])
    return markdown(["curve", "slope of time", "slope of memory"], rows)


PARTS = {
    "figures": figures,
    "W1": _race("W1"),
    "W1b": _race("W1b"),
    "others": _others,
    "limits": limits,
    "agreement": agreement,
    "linear": linear,
    "store": store,
    "stability": stability,
    "growth": growth,
}
