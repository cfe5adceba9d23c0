"""Nodes of the teacher comparison."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from tqdm import tqdm

from kd_uncertainty.comparison.candidates import candidates_of
from kd_uncertainty.comparison.data import comparison_data
from kd_uncertainty.comparison.measure import Intervals, compare, num_students
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.comparison.recommend import recommendation
from kd_uncertainty.comparison.students import Classroom, StudentFit
from kd_uncertainty.comparison.table import comparison_table
from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions, PropagationOptions, StudentsOptions, TeachersOptions
from kd_uncertainty.pipelines.teachers import nodes as teacher_nodes
from kd_uncertainty.report.figures import portable, teacher_comparison_figure
from kd_uncertainty.teachers import collection
from kd_uncertainty.threads import available_cores


def fit_compared_teachers(
    examples: pd.DataFrame,
    task: dict[str, Any],
    teachers: TeachersOptions,
    teacher_comparison: TeacherComparisonOptions,
    execution: ExecutionOptions,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit the teachers to be compared, with the network, training and seed of the study's own.

    A teacher of the same name and options is therefore the same teacher.
    """
    compared = teachers.model_copy(update={"posteriors": teacher_comparison.posteriors})
    return teacher_nodes.fit_teachers(examples, task, compared, execution)


def compare_teachers(
    examples: pd.DataFrame,
    task: dict[str, Any],
    compared_teachers: dict[str, Any],
    students: StudentsOptions,
    teacher_comparison: TeacherComparisonOptions,
    propagation: PropagationOptions,
    execution: ExecutionOptions,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Let every teacher teach students of the study's network, and say which teacher to take."""
    data, device = comparison_data(examples, task["num_classes"]), resolve_device(execution.device)
    candidates = candidates_of(
        collection.from_nested(compared_teachers), data, seed=teacher_comparison.seed, device=device
    )
    fit = StudentFit(
        students.network,
        students.training,
        students.backend,
        device,
        available_cores() if execution.workers == "auto" else execution.workers,
        execution.chunk_size,
        propagation.calibration_bins,
    )
    intervals = Intervals(propagation.confidence, propagation.num_bootstrap, propagation.seed)
    total = num_students(teacher_comparison, [candidate.distinct_draws for candidate in candidates])
    with tqdm(total=total, unit="student", desc="teacher comparison", disable=not execution.progress) as bar:
        classroom = Classroom(data, teacher_comparison, fit, bar.update)
        compared = compare(candidates, data, teacher_comparison, classroom, intervals)
    table = comparison_table(compared, teacher_comparison.num_seeds, propagation.confidence)
    return table, recommendation(compared, intervals)


def plot_teacher_comparison(teacher_comparison: pd.DataFrame) -> Figure:
    """Draw the students of every teacher."""
    return portable(teacher_comparison_figure(teacher_comparison))
