"""Nodes of the decomposition stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.bounds.decomposition import DecompositionOptions, decomposition
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.report.bounds.figures import make_figures
from kd_uncertainty.report.figures import portable

TABLES = ("decomposition_sweeps", "decomposition_checklist", "decomposition_audit")
"""The stage's tables."""


def turn_dials(
    options: DecompositionOptions, analysis: AnalysisOptions, execution: ExecutionOptions
) -> tuple[pd.DataFrame, ...]:
    """The divergence of a linear-Gaussian world and its parts, one dial at a time."""
    return tuple(decomposition(options, confidence=analysis.confidence, progress=execution.progress))


def plot_decomposition(analysis: AnalysisOptions, *tables: pd.DataFrame) -> Figure:
    """Draw the parts against each dial."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)), confidence=analysis.confidence)
    return portable(figures["decomposition_sweeps"])
