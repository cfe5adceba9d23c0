"""The workloads: which problems, how many students, who takes part, and how much time each may take."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev
from typing import Any, NamedTuple

from benchmarks import race
from benchmarks.contenders import CONTENDERS, Contender
from benchmarks.limits import Limits
from benchmarks.problems import Problem, digits, soft_labels, tabular
from benchmarks.workers import ContenderError, Workers

COMPARED = 48
"""Students whose losses are compared before the race."""
SMALL = 16
"""Populations below this try all layouts; others take those that were best for the main population."""


@dataclass(frozen=True)
class Workload:
    """One race for every population size.

    Attributes:
        name: as on the command line.
        make: returns the problem.
        populations: numbers of students.
        main: the number that settings are tuned at and that is compared.
        contenders: who takes part.
        seconds: time for the race of the main population; the others get a third.
        most_seconds: a contender whose turn would take longer sits out.
        lean: whether to try fewer settings and layouts.
    """

    name: str
    make: Callable[[], Problem]
    populations: tuple[int, ...]
    main: int
    contenders: tuple[str, ...]
    seconds: float
    most_seconds: float = 40.0
    lean: bool = False

    def settings(self, contender: Contender) -> tuple[dict[str, Any], ...]:
        """Return the settings to try."""
        return contender.settings[:1] if self.lean else contender.settings

    def layouts(self, contender: Contender) -> tuple[tuple[int, int], ...]:
        """Return the layouts to try."""
        return contender.layouts[:1] if self.lean else contender.layouts


def workloads(quick: bool) -> dict[str, Workload]:
    """Return all workloads by name; the quick ones are small enough for a test."""
    everyone = tuple(CONTENDERS)
    full = (
        Workload("W1", lambda: digits("W1", (32,), soft_labels()), (1, 8, 32, 128, 1024), 128, everyone, 30),
        Workload("W1b", lambda: digits("W1b", (128, 128), soft_labels()), (1, 8, 32, 128, 1024), 128, everyone, 45, 15),
        Workload("W3", lambda: tabular(1000), (1000,), 1000, everyone, 20),
    )
    if quick:
        return {workload.name: _quick(workload) for workload in full}
    return {workload.name: workload for workload in full}


def _quick(workload: Workload) -> Workload:
    """Return the workload with 64 examples, two epochs and eight students."""

    def make() -> Problem:
        problem = tabular(8, steps=2) if workload.name == "W3" else workload.make()
        if problem.full_batch:
            return problem
        return replace(
            problem, inputs=problem.inputs[:90], labels=problem.labels[:90], targets=problem.targets[:, :90], epochs=2
        )

    return replace(workload, make=make, populations=(8,), main=8, seconds=0.0, lean=True)


def run_workload(workload: Workload, workers: Workers, limits: Limits, say: race.Say) -> dict[str, Any]:
    """Check that the contenders agree, tune them, and race them for every population.

    Sequential contenders, whose time per student is flat, are timed for the first and the main population only. Other
    populations than the main one take the layouts that won there, unless they are so small that another may be better.

    Returns:
        ``agreement`` and ``races``, lists of rows for ``results.json``.
    """
    say(f"{workload.name}: checking that all learn the same")
    problem, students = workload.make(), min(workload.main, 128)
    able = [CONTENDERS[name] for name in workload.contenders if _able(workers, problem, name, say)]
    different = {(one.function, str(one.settings[0])): one for one in reversed(able)}  # not one in two processes again
    agreement = check_agreement(workers, problem, [*reversed(different.values())], min(students, COMPARED))
    say(f"{workload.name}: tuning")
    settings = race.tune(workers, problem, {one.name: workload.settings(one) for one in able}, students, say)
    rows: list[dict[str, Any]] = []
    best: Mapping[str, race.Entry] = {}
    for population in sorted(workload.populations, key=lambda size: size != workload.main):
        main = population == workload.main
        entries = []
        for contender in able:
            if main or _takes_part(best.get(contender.name), population, workload, problem):
                free = main or population < SMALL
                layouts = workload.layouts(contender) if free else (best[contender.name].layout,)
                entries += race.entries_of(contender, population, [settings[contender.name]], layouts)
        say(f"{workload.name}: {population} students, {len(entries)} entries")
        since = len(limits.samples)
        seconds, rounds = (workload.seconds, (3, 9)) if main else (workload.seconds / 3, (2, 7))
        finished = race.run_race(
            workers, problem, entries, seconds=seconds, rounds=rounds, say=say, between=limits.sample
        )
        winners = race.best_of(finished)
        best = winners if main else best
        rows += [_row(entry, problem, population, winners, limits.peak(since)) for entry in finished]
        for entry in winners.values():
            say(f"  {entry.contender.label}: {entry.as_result(problem, population)['median']:,.1f} µs")
    return {"agreement": agreement, "races": rows}


def _row(
    entry: race.Entry, problem: Problem, population: int, winners: Mapping[str, race.Entry], peak: float
) -> dict[str, Any]:
    row = entry.as_result(problem, population)
    row["best"] = winners[entry.contender.name] is entry
    row["flops"] = round(problem.flops_per_epoch / (row["median"] * 1e-6))
    row["share_of_peak"] = round(row["flops"] / peak, 4)
    return row


def _takes_part(best: race.Entry | None, population: int, workload: Workload, problem: Problem) -> bool:
    """Whether a contender is timed for another population than the main one, where ``best`` was its best entry."""
    if best is None:
        return False
    if best.contender.sequential:
        return population == workload.populations[0]
    row = best.as_result(problem, population)
    return bool(population * problem.epochs * row["median"] * 1e-6 <= workload.most_seconds)


class Losses(NamedTuple):
    """Mean loss of some students' last epoch, its standard error, and their number."""

    mean: float
    error: float
    students: int


def check_agreement(
    workers: Workers, problem: Problem, contenders: Sequence[Contender], students: int
) -> list[dict[str, Any]]:
    """Return each contender's mean training loss of the last epoch, and how far it is from that of the others.

    ``z`` is the distance from the mean over other implementations, in its standard errors: students of different
    implementations are independent draws from one distribution if all do the same work. Contenders of one module share
    their random numbers, so that the most precise of each other module stands for it. Not all learn the same thing;
    those that do not have no z.
    """
    found = {one.name: _losses(workers, problem, one, students) for one in contenders}
    rows = []
    for contender in contenders:
        own = found[contender.name]
        rivals: dict[str, Losses] = {}
        for other in contenders:
            if other.yardstick and other.module != contender.module:
                losses = found[other.name]
                if other.module not in rivals or losses.error < rivals[other.module].error:
                    rivals[other.module] = losses
        z = None
        if contender.yardstick and rivals:
            centre = sum(rival.mean for rival in rivals.values()) / len(rivals)
            error = sum(rival.error**2 for rival in rivals.values()) ** 0.5 / len(rivals)
            z = round((own.mean - centre) / (own.error**2 + error**2) ** 0.5, 2)
        rows.append(
            {
                "workload": problem.name,
                "contender": contender.name,
                "students": own.students,
                "loss": round(own.mean, 6),
                "standard_error": round(own.error, 6),
                "z": z,
            }
        )
    return rows


def _losses(workers: Workers, problem: Problem, contender: Contender, students: int) -> Losses:
    count = min(students, 12) if contender.sequential else students
    (entry,) = race.entries_of(contender, count, contender.settings[:1], [(1, 1)])
    losses = workers.run(contender.function, problem, count, 1000, (1, 1), entry.setting).losses
    return Losses(mean(losses), stdev(losses) / count**0.5, count)


def _able(workers: Workers, problem: Problem, name: str, say: race.Say) -> bool:
    """Whether a contender can train this problem here: with JAX installed, or a compiler."""
    contender = CONTENDERS[name]
    (entry,) = race.entries_of(contender, 2, contender.settings[:1], contender.layouts[:1])
    try:
        entry.turn(workers, replace(problem, name=f"{problem.name}, one epoch", epochs=1), 0)
    except ContenderError as failure:
        say(f"  left out: {contender.label}: {failure}")
        return False
    return True
