"""The convergence study's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.convergence.figures.descent import descent_figure
from kd_uncertainty.report.convergence.figures.mixture import mixture_figure
from kd_uncertainty.report.convergence.figures.noise import gradient_noise_figure
from kd_uncertainty.report.convergence.figures.plateau import plateau_figure
from kd_uncertainty.report.convergence.figures.stability import stability_figure
from kd_uncertainty.report.convergence.figures.steps import step_sweep_figure
from kd_uncertainty.report.convergence.figures.teachers import teacher_error_figure
from kd_uncertainty.report.convergence.figures.training import training_figure
from kd_uncertainty.report.study_figures import with_level

__all__ = ["FIGURES", "make_figures"]

FIGURES = (
    "mixture",
    "gradient_noise",
    "descent",
    "plateau",
    "step_sweep",
    "stability_curves",
    "stability",
    "teacher_error",
)


def make_figures(tables: Tables, *, confidence: float = 0.95, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        confidence: The level of their intervals, for the captions.
        narrow: For narrow screens: one panel below the other.
    """
    plateau = table(tables, "plateau")
    stability = table(tables, "stability")
    figures = {
        "mixture": mixture_figure(table(tables, "mixture"), narrow=narrow),
        "gradient_noise": gradient_noise_figure(table(tables, "gradient_noise"), narrow=narrow),
        "descent": descent_figure(table(tables, "descent"), plateau, narrow=narrow),
        "plateau": plateau_figure(plateau, narrow=narrow),
        "step_sweep": step_sweep_figure(table(tables, "step_sweep"), narrow=narrow),
        "stability_curves": training_figure(table(tables, "stability_curves"), narrow=narrow),
        "stability": stability_figure(stability, narrow=narrow),
        "teacher_error": teacher_error_figure(stability, table(tables, "teacher_error"), narrow=narrow),
    }
    return {name: with_level(figure, confidence) for name, figure in figures.items()}
