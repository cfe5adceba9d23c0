"""Nodes of the student_output stage."""

from __future__ import annotations

import pandas as pd
from plotly.graph_objects import Figure

from kd_uncertainty.options import ExecutionOptions, ValuePropagationOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.regression.student_output import StudentOutputOptions, student_output_table
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import student_output_figure


def measure_student_output(
    digits: pd.DataFrame,
    wine: pd.DataFrame,
    breast_cancer: pd.DataFrame,
    student_output: StudentOutputOptions,
    propagation: ValuePropagationOptions,
    execution: ExecutionOptions,
) -> pd.DataFrame:
    """The predictive uncertainty of teachers and of students trained on their answers."""
    return student_output_table(
        {"digits": digits, "wine": wine, "breast_cancer": breast_cancer},
        student_output,
        confidence=propagation.confidence,
        threads=num_workers(execution),
        progress=execution.progress,
    )


def plot_student_output(student_output: pd.DataFrame) -> Figure:
    """Draw the section's figure."""
    return portable(student_output_figure(student_output))
