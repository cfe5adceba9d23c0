"""Nodes of the eigenspace stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.deviations.eigenspace import EigenspaceOptions, eigenspace
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.report.deviations.figures import make_figures
from kd_uncertainty.report.figures import portable
from kd_uncertainty.tasks.examples import example_tensors

TABLES = ("eigenspace_trajectories", "eigenspace_pairs")
"""The stage's tables; each has a figure."""


def follow_directions(
    examples: pd.DataFrame, options: EigenspaceOptions, analysis: AnalysisOptions, execution: ExecutionOptions
) -> tuple[pd.DataFrame, ...]:
    """Paths along the eigenvectors of the inputs' covariance, on normal inputs and on the task's."""
    train = example_tensors(examples, "train")
    return tuple(
        eigenspace(
            options,
            train.inputs.double().numpy(),
            train.labels.numpy(),
            confidence=analysis.confidence,
            progress=execution.progress,
        )
    )


def plot_eigenspace(*tables: pd.DataFrame) -> list[Figure]:
    """Draw the figure of each table."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)))
    return [portable(figures[name]) for name in TABLES]
