"""Nodes of the deviations stage."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.convergence.examples import study_examples
from kd_uncertainty.deviations.confidence import ConfidenceOptions, confidence_experiment, study_deviations
from kd_uncertainty.deviations.study import StudyDeviationsOptions
from kd_uncertainty.errors import UserError
from kd_uncertainty.options import AnalysisOptions, ExecutionOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.report.deviations.figures import make_figures
from kd_uncertainty.report.figures import portable
from kd_uncertainty.schemas import empty_deviations
from kd_uncertainty.soft_labels import Source, read_soft_labels

TABLES = ("deviations", "deviation_bins", "gains")
"""The stage's tables; each has a figure."""

logger = logging.getLogger(__name__)


def train_and_compare(
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: ConfidenceOptions,
    analysis: AnalysisOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, ...]:
    """Teachers that interpolate or not, their students, and networks that had no teacher."""
    return tuple(
        confidence_experiment(
            study_examples(examples, task["num_classes"]),
            options,
            confidence=analysis.confidence,
            threads=num_workers(execution),
            progress=execution.progress,
        )
    )


def compare_students(
    predictions: pd.DataFrame,
    plan: pd.DataFrame,
    responses: Source,
    examples: pd.DataFrame,
    task: dict[str, Any],
    options: StudyDeviationsOptions,
) -> tuple[pd.DataFrame, ...]:
    """The students of the study beside their teachers; nothing, with a warning, if there is nothing to compare with."""
    example_ids = examples["example_id"].sort_values().to_numpy()
    try:
        soft_labels = read_soft_labels(responses, example_ids, task["num_classes"])
        return tuple(study_deviations(predictions, plan, soft_labels, examples, options))
    except UserError as error:
        logger.warning("%s; deviations are not measured", error)
        return empty_deviations()


def plot_deviations(*tables: pd.DataFrame) -> list[Figure]:
    """Draw the figure of each table."""
    figures = make_figures(dict(zip(TABLES, tables, strict=True)))
    return [portable(figures[name]) for name in TABLES]
