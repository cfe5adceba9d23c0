"""Nodes of the remedies stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.options import ExecutionOptions, ValuePropagationOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.regression.data import regression_data
from kd_uncertainty.regression.remedies import RemediesOptions, remedies_table
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import remedies_figure


def measure_remedies(
    examples: pd.DataFrame, remedies: RemediesOptions, propagation: ValuePropagationOptions, execution: ExecutionOptions
) -> pd.DataFrame:
    """Averaging and weighting of responses, and what they are worth for their cost."""
    return remedies_table(
        regression_data(examples),
        remedies,
        confidence=propagation.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )


def plot_remedies(remedies: pd.DataFrame) -> Figure:
    """Draw the section's figure."""
    return portable(remedies_figure(remedies))
