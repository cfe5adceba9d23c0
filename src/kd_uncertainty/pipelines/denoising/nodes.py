"""Nodes of the denoising stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.deviations.denoising import DenoisingOptions, denoising
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.report.deviations.figures import make_figures
from kd_uncertainty.report.figures import portable

TABLES = ("denoising_entries", "denoising_alignment")
"""The stage's tables; each has a figure."""


def compare_gradients(
    options: DenoisingOptions, analysis: AnalysisOptions, execution: ExecutionOptions
) -> tuple[pd.DataFrame, ...]:
    """Gradients of one-hot labels and of teachers, on tasks whose probabilities are known."""
    return tuple(denoising(options, confidence=analysis.confidence, progress=execution.progress))


def plot_denoising(*tables: pd.DataFrame) -> list[Figure]:
    """Draw the figure of each table."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)))
    return [portable(figures[name]) for name in TABLES]
