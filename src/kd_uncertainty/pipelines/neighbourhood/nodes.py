"""Nodes of the neighbourhood stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.convergence.neighbourhood import Neighbourhood, NeighbourhoodOptions, neighbourhood_tables
from kd_uncertainty.convergence.world import WorldOptions
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.pipelines.gradient_noise.nodes import world_of
from kd_uncertainty.report.convergence.figures import make_figures
from kd_uncertainty.report.figures import portable

TABLES = Neighbourhood._fields
"""The stage's tables; each has a figure."""


def descend(
    examples: pd.DataFrame,
    world: WorldOptions,
    options: NeighbourhoodOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, ...]:
    """Where stochastic gradient descent ends, how fast it gets there, with which steps and mixtures of labels."""
    return neighbourhood_tables(
        world_of(examples, world), options, confidence=analysis.confidence, progress=execution.progress
    )


def plot_neighbourhood(analysis: AnalysisOptions, *tables: pd.DataFrame) -> list[Figure]:
    """Draw the figure of each table."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)), confidence=analysis.confidence)
    return [portable(figures[name]) for name in TABLES]
