"""Nodes of the bootstrap stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.options import ExecutionOptions, ValuePropagationOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.regression.bootstrap import BootstrapOptions, bootstrap_table
from kd_uncertainty.regression.data import regression_data
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import bootstrap_figure


def measure_bootstrap(
    examples: pd.DataFrame,
    bootstrap: BootstrapOptions,
    propagation: ValuePropagationOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """Size of the resamples against variance between students and test error."""
    return bootstrap_table(
        regression_data(examples),
        bootstrap,
        confidence=propagation.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )


def plot_bootstrap(bootstrap: pd.DataFrame) -> Figure:
    """Draw the section's figure."""
    return portable(bootstrap_figure(bootstrap))
