"""Nodes of the stability stage."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.convergence.engine import engine_facts
from kd_uncertainty.convergence.examples import study_examples
from kd_uncertainty.convergence.stability import StabilityOptions, measure_stability
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.report.convergence.figures import make_figures
from kd_uncertainty.report.figures import portable
from kd_uncertainty.soft_labels import Source, read_soft_labels

TABLES = ("stability_curves", "stability", "teacher_error")
"""The stage's tables; each has a figure."""


def train_on_each_kind_of_labels(
    responses: Source,
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: StabilityOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, dict[str, Any]]:
    """Networks from the same starts in the same order on one-hot labels, Bayes probabilities and every teacher's."""
    data = study_examples(examples, task["num_classes"])
    soft_labels = read_soft_labels(responses, examples["example_id"].sort_values().to_numpy(), task["num_classes"])
    found = measure_stability(
        data,
        dict(soft_labels.logits),
        options,
        confidence=analysis.confidence,
        bins=analysis.calibration_bins,
        threads=num_workers(execution),
        progress=execution.progress,
    )
    students = found.table.drop_duplicates(["arm", "teacher", "level", "mixing"])["num_seeds"].sum()
    return found.curves, found.table, found.teacher_error, engine_facts(data, options, int(students))


def plot_stability(analysis: AnalysisOptions, *tables: pd.DataFrame) -> list[Figure]:
    """Draw the figure of each table."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)), confidence=analysis.confidence)
    return [portable(figures[name]) for name in TABLES]
