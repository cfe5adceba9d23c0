"""A synthetic comparison of teachers with known figures: NLL of students by teacher, draws, share and mixing."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pandas as pd

from kd_uncertainty.comparison.data import Candidate
from kd_uncertainty.comparison.measure import Comparison, Intervals, Lesson
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.comparison.plan import Cell, control_cells, teacher_cells
from kd_uncertainty.comparison.recommend import recommendation
from kd_uncertainty.comparison.students import Outcome
from kd_uncertainty.comparison.table import comparison_table

STUDENTS, EXAMPLES = 6, 80
TEACHERS = {
    "deterministic": ("deterministic", 1, 0.40),
    "ensemble": ("deep_ensemble", 32, 0.36),
    "laplace": ("laplace", None, 0.42),
    "mse": ("mse", 1, 0.44),
    "cross_fitted": ("deterministic", 1, 0.46),
}
"""Name: kind, distinct draws, validation NLL of the students."""
CONTROL = 0.60
OPTIONS = TeacherComparisonOptions.model_validate(
    {"posteriors": {"deterministic": {"kind": "deterministic"}}, "num_draws": [1, 4], "fractions": [0.1, 1.0]}
)


def outcome(mean: float, generator: np.random.Generator, watched: bool) -> Outcome:
    own = generator.standard_normal((STUDENTS, EXAMPLES)) + generator.standard_normal((STUDENTS, 1)) / 5
    losses = mean + 0.02 * (own - own.mean())
    metrics = {}
    for split, shift in (("validation", 0.0), ("test", 0.01)):
        nll = losses.mean(axis=1) + shift
        metrics[split, "nll"] = nll
        metrics[split, "accuracy"] = 1.1 - nll / 2
        metrics[split, "ece"] = nll / 8
        metrics[split, "bayes_error"] = nll / 4
    if watched:
        for name in ("noise_accuracy_std", "noise_accuracy_step", "noise_nll_std", "noise_nll_step"):
            metrics["validation", name] = 0.01 + 0.001 * generator.random(STUDENTS)
        metrics["train", "gradient_variance"] = 2.0 + generator.random(STUDENTS)
    return Outcome(metrics, losses)


def make_comparison(few: bool = False, **means: float) -> Comparison:
    """The comparison, with other means where they are given, and labels of little use where they are few."""
    generator = np.random.default_rng(5)

    def nll(cell: Cell) -> float:
        base = means.get(cell.teacher, TEACHERS.get(cell.teacher, ("", 1, CONTROL))[2])
        base += 0.5 * (1.0 - cell.fraction) * (few and cell.teacher == "none")
        draws = 0.05 if cell.num_draws == 1 and cell.teacher == "ensemble" else 0.0
        return (
            base + draws + 0.2 * (1.0 - cell.fraction) + 0.03 * (cell.mixing == 0.5) + 0.02 * (cell.temperature - 1.0)
        )

    lessons = []
    for number, (name, (kind, draws, _)) in enumerate(TEACHERS.items()):
        cells = teacher_cells(OPTIONS, name, draws)
        outcomes = {cell: outcome(nll(cell), generator, cell == cells[0]) for cell in cells}
        quality = {
            (split, metric): (value + 0.01 * number, value + 0.01 * number - 0.02, value + 0.01 * number + 0.02)
            for split in ("validation", "test")
            for metric, value in (("accuracy", 0.9), ("nll", 0.35), ("brier", 0.2), ("ece", 0.1))
        }
        plain = [cell for cell in cells if (cell.fraction, cell.mixing, cell.temperature) == (1.0, 1.0, 1.0)]
        error = {cell.num_draws: (0.1 * nll(cell), 0.09 * nll(cell), 0.11 * nll(cell)) for cell in plain}
        candidate = Candidate(name, kind, draws, name == "cross_fitted", lambda _: np.empty(0))
        lessons.append(Lesson(candidate, outcomes, quality, error))
    cells = control_cells(OPTIONS)
    control = {cell: outcome(nll(cell._replace(mixing=1.0)), generator, cell == cells[0]) for cell in cells}
    return Comparison(tuple(lessons), control)


@cache
def _made() -> Comparison:
    return make_comparison()


def teacher_comparison() -> pd.DataFrame:
    return comparison_table(_made(), STUDENTS)


def teacher_recommendation(comparison: Comparison | None = None) -> dict[str, Any]:
    return recommendation(comparison or _made(), Intervals(0.95, 200, 0))
