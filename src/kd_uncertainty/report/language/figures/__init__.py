"""The language study's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.language.arms import read_study
from kd_uncertainty.report.language.figures.answers import answers_figure
from kd_uncertainty.report.language.figures.errors import errors_figure
from kd_uncertainty.report.language.figures.law import law_figure
from kd_uncertainty.report.language.figures.surrogate import surrogate_figure
from kd_uncertainty.report.language.figures.training import training_figure
from kd_uncertainty.report.language.surrogate import read_surrogate
from kd_uncertainty.report.study_figures import with_level

__all__ = ["FIGURES", "make_figures"]

FIGURES = ("language_surrogate", "language_law", "training_curves", "language_errors", "language_answers")
UNBOUNDED = ("training_curves", "language_answers")
"""Figures without intervals."""


def make_figures(tables: Tables, *, confidence: float = 0.95, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        confidence: The level of their intervals, for the captions.
        narrow: For narrow screens: one panel below the other.
    """
    study, surrogate = read_study(tables), read_surrogate(table(tables, "surrogate"))
    frequencies, samples = table(tables, "answer_frequencies"), table(tables, "sample_answers")
    figures = {
        "language_surrogate": surrogate_figure(surrogate, narrow=narrow),
        "language_law": law_figure(study, surrogate, narrow=narrow),
        "training_curves": training_figure(table(tables, "student_curves"), table(tables, "plan"), narrow=narrow),
        "language_errors": errors_figure(study, narrow=narrow),
        "language_answers": answers_figure(frequencies, samples, narrow=narrow),
    }
    return {name: figure if name in UNBOUNDED else with_level(figure, confidence) for name, figure in figures.items()}
