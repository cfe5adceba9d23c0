"""Nodes of the switching stage."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.convergence.examples import study_examples
from kd_uncertainty.deviations.switching import SwitchingOptions, switching
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.report.deviations.figures import make_figures
from kd_uncertainty.report.figures import portable


def switch_losses(
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: SwitchingOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Students whose loss changes part-way, beside those whose loss does not."""
    found = switching(
        study_examples(examples, task["num_classes"]),
        options,
        confidence=analysis.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )
    return found.table, found.teachers


def plot_switching(table: pd.DataFrame) -> Figure:
    """Draw what is recovered."""
    return portable(make_figures({"switching": table})["switching"])
