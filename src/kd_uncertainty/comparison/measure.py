r"""Teachers compared: each teaches students in every cell, and both are measured.

A student of a teacher with k draws is trained on ``mean_j softmax(z_j / T)`` over its own k posterior draws. What a
teacher is worth as a source of targets is its squared error to the Bayes class probabilities at the training points,
``mean_i ||p_i - P_i||^2``, where these are known (Morad, Shlezinger & Eldar, arXiv 2601.01484).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kd_uncertainty import calibration
from kd_uncertainty.comparison.data import EVALUATED, Candidate, ComparisonData, Floats
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.comparison.plan import (
    Cell,
    control_cells,
    draw_counts,
    pool_size,
    student_draws,
    teacher_cells,
)
from kd_uncertainty.comparison.students import Classroom, Outcome, Targets, labels_only
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.targets import exact_probabilities
from kd_uncertainty.uncertainty.metrics import mean_interval

Estimate = tuple[float, float, float]
"""An estimate with its bounds."""


class Intervals(NamedTuple):
    """How intervals are made.

    Attributes:
        confidence: of all.
        num_bootstrap: replicates.
        seed: of the bootstrap.
    """

    confidence: float = 0.95
    num_bootstrap: int = 400
    seed: int = 0


INTERVALS = Intervals()


@dataclass(frozen=True)
class Lesson:
    """A teacher and its students.

    Attributes:
        candidate: the teacher.
        outcomes: of its students, by cell; the cell of all data, draws, mixing 1 and temperature 1 is the first.
        quality: accuracy, nll, brier and ece of the teacher itself with interval over examples, by split and metric:
            of its mean over all draws that any student learns from.
        error: from a number of draws to the mean squared error of the students' targets to the Bayes probabilities,
            over students and training points; empty where these are unknown.
    """

    candidate: Candidate
    outcomes: dict[Cell, Outcome]
    quality: dict[tuple[str, str], Estimate]
    error: dict[int, Estimate]

    @property
    def base(self) -> Cell:
        """The cell of all data and draws, mixing 1 and temperature 1."""
        return next(iter(self.outcomes))


@dataclass(frozen=True)
class Comparison:
    """All teachers with their students, and the students that learn the data's own labels.

    Attributes:
        lessons: one a teacher.
        control: outcomes of students without a teacher, that of all data first.
    """

    lessons: tuple[Lesson, ...]
    control: dict[Cell, Outcome]


def num_students(options: TeacherComparisonOptions, distinct_draws: Sequence[int | None]) -> int:
    """Return how many students are trained in all, for teachers with so many draws."""
    cells = [cell for draws in distinct_draws for cell in teacher_cells(options, "", draws)]
    return options.num_seeds * (len(cells) + len(control_cells(options)))


def compare(
    candidates: Sequence[Candidate],
    data: ComparisonData,
    options: TeacherComparisonOptions,
    classroom: Classroom,
    intervals: Intervals = INTERVALS,
) -> Comparison:
    """Let every teacher teach its students, one teacher after another, so that memory holds one's draws.

    Args:
        candidates: the fitted teachers.
        data: the task.
        options: the cells.
        classroom: trains students.
        intervals: of the teachers' own figures.

    Raises:
        UserError: if a student's training diverges, or its network fails.
    """
    cells = control_cells(options)
    control = classroom.teach(cells, labels_only(cells, classroom.one_hot, options.num_seeds))
    lessons = tuple(_lesson(candidate, data, options, classroom, intervals) for candidate in candidates)
    return Comparison(lessons, control)


def _lesson(
    candidate: Candidate,
    data: ComparisonData,
    options: TeacherComparisonOptions,
    classroom: Classroom,
    intervals: Intervals,
) -> Lesson:
    pool = pool_size(options, candidate.distinct_draws)
    logits = candidate.answers(pool)
    most = draw_counts(options, candidate.distinct_draws)[-1]
    draws = student_draws(options.num_seeds, pool, most, derive_seed(options.seed, "draws", candidate.name))
    cells = teacher_cells(options, candidate.name, candidate.distinct_draws)
    targets = make_targets(cells, data.split_of(logits, "train"), draws)
    return Lesson(
        candidate,
        classroom.teach(cells, targets),
        _quality(data, logits, classroom.fit.bins, intervals),
        _errors(cells, targets, data.bayes["train"], intervals.confidence) if data.bayes else {},
    )


def make_targets(cells: Sequence[Cell], logits: NDArray[np.floating], draws: NDArray[np.int64]) -> Targets:
    """Return the mean probabilities that the students of the cells are trained on, each table once.

    Args:
        cells: of one teacher.
        logits: (training examples, draws, classes), all its draws.
        draws: (students, most), those of each student; a target of k draws averages the first k.
    """
    position: dict[tuple[float, tuple[int, ...]], int] = {}
    used: dict[Cell, list[int]] = {}
    for cell in cells:
        chosen = [tuple(sorted(own[: cell.num_draws].tolist())) for own in draws]
        used[cell] = [position.setdefault((cell.temperature, one), len(position)) for one in chosen]
    tables = torch.empty((len(position), len(logits), logits.shape[-1]))
    for (temperature, one), table in position.items():
        tables[table] = torch.from_numpy(exact_probabilities(logits, temperature, np.array(one)))
    return Targets(tables, used)


def _quality(
    data: ComparisonData, logits: NDArray[np.floating], bins: int, intervals: Intervals
) -> dict[tuple[str, str], Estimate]:
    """The teacher's own accuracy, NLL and ECE with intervals over examples, by split."""
    found: dict[tuple[str, str], Estimate] = {}
    for split in EVALUATED:
        # A mixture of softmaxes can underflow to 0 in a class; its log is -inf, which the metrics take.
        with np.errstate(divide="ignore"):
            own = np.log(exact_probabilities(data.split_of(logits, split)))
        for metric in calibration.metric_intervals(
            own,
            data.labels_of(split),
            bins=bins,
            confidence=intervals.confidence,
            num_bootstrap=intervals.num_bootstrap,
            seed=intervals.seed,
        ):
            found[split, metric.metric] = metric.estimate, metric.lower, metric.upper
    return found


def _errors(cells: Sequence[Cell], targets: Targets, bayes: Floats, confidence: float) -> dict[int, Estimate]:
    """Squared error to the Bayes probabilities of targets at temperature 1, by number of draws."""
    found: dict[int, Estimate] = {}
    for cell in cells:
        if cell.temperature == 1.0 and cell.num_draws not in found:
            tables = targets.tables[list(targets.used[cell])].double().numpy()
            squares = np.sum((tables - bayes) ** 2, axis=-1)
            estimate, lower, upper = mean_interval(squares, confidence)
            found[cell.num_draws] = estimate, max(lower, 0.0), upper
    return found
