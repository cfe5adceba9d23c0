"""Nodes of the teacher_output stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.options import ExecutionOptions, ValuePropagationOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.regression.data import regression_data
from kd_uncertainty.regression.teacher_output import TeacherOutputOptions, teacher_output_table
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import teacher_output_figure


def measure_teacher_output(
    examples: pd.DataFrame,
    teacher_output: TeacherOutputOptions,
    propagation: ValuePropagationOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """The noise of responses against variance between students and test error."""
    return teacher_output_table(
        regression_data(examples),
        teacher_output,
        confidence=propagation.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )


def plot_teacher_output(teacher_output: pd.DataFrame) -> Figure:
    """Draw the section's figure."""
    return portable(teacher_output_figure(teacher_output))
