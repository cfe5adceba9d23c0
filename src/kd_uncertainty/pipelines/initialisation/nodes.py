"""Nodes of the initialisation stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.options import ExecutionOptions, ValuePropagationOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.regression.data import regression_data
from kd_uncertainty.regression.initialisation import InitialisationOptions, initialisation_table
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import initialisation_figure


def measure_initialisation(
    examples: pd.DataFrame,
    initialisation: InitialisationOptions,
    propagation: ValuePropagationOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """Dispersion of the start against variance between students."""
    return initialisation_table(
        regression_data(examples),
        initialisation,
        confidence=propagation.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )


def plot_initialisation(initialisation: pd.DataFrame) -> Figure:
    """Draw the section's figure."""
    return portable(initialisation_figure(initialisation))
