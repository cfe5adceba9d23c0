"""Nodes of the network bounds stage."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.bounds.langevin import LangevinBoundsOptions, langevin_bounds
from kd_uncertainty.bounds.networks import NetworkBoundsOptions, network_bounds
from kd_uncertainty.convergence.examples import study_examples
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.report.bounds.figures import make_figures
from kd_uncertainty.report.figures import portable


def bound_networks(
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: NetworkBoundsOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """Gaps of teachers and students over resampled training sets, and the intervals that are promised for them."""
    return network_bounds(
        study_examples(examples, task["num_classes"]),
        options,
        confidence=analysis.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    ).table


def bound_langevin_networks(
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: LangevinBoundsOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """The same of teachers and students that Langevin dynamics trains."""
    return langevin_bounds(
        study_examples(examples, task["num_classes"]),
        options,
        confidence=analysis.confidence,
        progress=execution.progress,
    ).table


def plot_network_bounds(analysis: AnalysisOptions, network_bounds: pd.DataFrame) -> Figure:
    """Draw intervals against the size of the training set."""
    figures = make_figures({"network_bounds": network_bounds}, confidence=analysis.confidence)
    return portable(figures["network_bounds"])
