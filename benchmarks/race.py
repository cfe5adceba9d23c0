"""Races: all contenders at the same problem, in turn, round after round.

Whatever slows the machine for a while then slows all of them. In the first round each contender tries its layouts
(processes and threads); those that take over 1.25 times its own fastest drop out. Medians decide in the end, and a
contender is represented by the layout with the best one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median
from typing import Any

import numpy as np

from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.problems import Problem
from benchmarks.workers import ContenderError, Timing, Workers

DROP_OUT = 1.25
SEQUENTIAL_STUDENTS = 4
"""Students that a sequential contender trains in one turn; the time of each is the same."""

Say = Callable[[str], None]
Setting = dict[str, Any]


@dataclass
class Entry:
    """A contender with one layout and one setting in one race."""

    contender: Contender
    layout: tuple[int, int]
    setting: Setting
    students: int
    warm_up: float = 0.0
    seconds: list[float] = field(default_factory=list)
    memory: int | None = None

    def turn(self, workers: Workers, problem: Problem, seed: int) -> Timing:
        """Train once."""
        return workers.run(self.contender.function, problem, self.students, seed, self.layout, self.setting)

    def as_result(self, problem: Problem, population: int) -> dict[str, Any]:
        """Return the entry for ``results.json``; times in µs per student and epoch."""
        scale = 1e6 / (self.students * problem.epochs)
        low, middle, high = np.quantile(self.seconds, (0.25, 0.5, 0.75)) * scale
        return {
            "workload": problem.name,
            "students": population,
            "contender": self.contender.name,
            "processes": self.layout[0],
            "threads": self.layout[1],
            "setting": self.setting,
            "trained_per_turn": self.students,
            "median": round(float(middle), 3),
            "quartiles": [round(float(low), 3), round(float(high), 3)],
            "turns": len(self.seconds),
            "warm_up_seconds": round(self.warm_up, 3),
            "memory_bytes": self.memory,
        }


def entries_of(
    contender: Contender, population: int, settings: Sequence[Setting], layouts: Iterable[tuple[int, int]]
) -> list[Entry]:
    """Return a contender's entries: every setting and every layout that has enough students and differs."""
    students = population
    if contender.sequential:
        students = min(population, SEQUENTIAL_STUDENTS)
    entries = []
    for layout in layouts:
        if students < layout[0]:
            continue
        seen: list[Setting] = []
        for setting in settings:
            capped = _capped(setting, -(-students // layout[0]))
            if capped not in seen:
                seen.append(capped)
                entries.append(Entry(contender, layout, capped, students))
    return entries


def _capped(setting: Setting, students: int) -> Setting:
    if "chunk_size" in setting:
        return {**setting, "chunk_size": min(setting["chunk_size"], students)}
    return setting


def run_race(
    workers: Workers,
    problem: Problem,
    entries: Sequence[Entry],
    *,
    seconds: float,
    rounds: tuple[int, int],
    say: Say,
    between: Callable[[], None] = lambda: None,
) -> list[Entry]:
    """Run rounds until the seconds are spent, at least ``rounds[0]`` and at most ``rounds[1]``.

    Args:
        workers: where to train.
        problem: what to train.
        entries: who takes part; those that fail are named and left out.
        seconds: rounds begin as long as fewer have passed since the warm-up.
        rounds: the least and the most.
        say: takes a line for the terminal.
        between: called once a round, to measure the machine at the same time.

    Returns:
        The entries that finished at least one round, with their times.
    """
    ready = [entry for entry in entries if _warm_up(entry, workers, problem, say)]
    start = time.perf_counter()
    for number in range(rounds[1]):
        if number >= rounds[0] and time.perf_counter() - start > seconds:
            break
        between()
        for entry in _still_in(ready):
            timing = entry.turn(workers, problem, seed=number + 1)
            entry.seconds.append(timing.seconds)
            entry.memory = max(entry.memory or 0, timing.memory) if timing.memory is not None else None
    return ready


def best_of(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return each contender's entry with the smallest median, by name; those that dropped out are not asked."""
    best: dict[str, Entry] = {}
    for entry in entries:
        rival = best.get(entry.contender.name)
        if rival is None or (len(entry.seconds), -median(entry.seconds)) > (len(rival.seconds), -median(rival.seconds)):
            best[entry.contender.name] = entry
    return best


def tune(
    workers: Workers, problem: Problem, settings: Mapping[str, Sequence[Setting]], students: int, say: Say
) -> dict[str, Setting]:
    """Return the fastest setting of each contender with one process and one thread, by the better of two turns.

    A tenth of the epochs tells as much of the time of one.

    Args:
        workers: where to train.
        problem: what to train.
        settings: those to try, by contender; a single one is returned as it is.
        students: the population to tune for.
        say: takes a line for the terminal.
    """
    entries = [
        entry
        for name, tried in settings.items()
        if len(tried) > 1
        for entry in entries_of(CONTENDERS[name], students, tried, [(1, 1)])
    ]
    chosen = {name: dict(tried[0]) for name, tried in settings.items()}
    fastest: dict[str, float] = {}
    short = replace(problem, name=f"{problem.name}, tuning", epochs=max(problem.epochs // 10, 1))
    for entry in run_race(workers, short, entries, seconds=0, rounds=(2, 2), say=say):
        name = entry.contender.name
        if min(entry.seconds) < fastest.get(name, np.inf):
            alike = [setting for setting in settings[name] if _capped(setting, students) == entry.setting]
            fastest[name], chosen[name] = min(entry.seconds), dict(alike[-1])  # the largest chunk, for more students
    return chosen


def _still_in(entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries without those that their own contender's first round has shown to be slow."""
    fastest: dict[str, float] = {}
    for entry in entries:
        if entry.seconds:
            name = entry.contender.name
            fastest[name] = min(fastest.get(name, np.inf), entry.seconds[0])
    return [
        entry for entry in entries if not entry.seconds or entry.seconds[0] <= DROP_OUT * fastest[entry.contender.name]
    ]


def _warm_up(entry: Entry, workers: Workers, problem: Problem, say: Say) -> bool:
    """Let a contender import and compile; return whether it can take part."""
    students = entry.layout[0] * entry.setting.get("chunk_size", entry.students) if entry.contender.warm_up else 0
    students = min(entry.students, max(students, entry.layout[0]))
    start = time.perf_counter()
    try:
        workers.run(entry.contender.function, problem, students, 0, entry.layout, entry.setting)
    except ContenderError as failure:
        say(f"  left out: {entry.contender.label} {entry.layout} {entry.setting}: {failure}")
        return False
    entry.warm_up = time.perf_counter() - start
    return True
