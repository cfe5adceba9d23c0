"""Nodes of the teacher comparison."""

from __future__ import annotations

import logging
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
from kd_uncertainty.errors import UserError
from kd_uncertainty.options import ExecutionOptions, PropagationOptions, StudentsOptions, TeachersOptions
from kd_uncertainty.pipelines.students.nodes import num_workers
from kd_uncertainty.pipelines.teachers import nodes as teacher_nodes
from kd_uncertainty.report.figures import portable, teacher_comparison_figure
from kd_uncertainty.teachers import collection

logger = logging.getLogger(__name__)


def fit_compared_teachers(
    examples: pd.DataFrame,
    task: dict[str, Any],
    teachers: TeachersOptions,
    teacher_comparison: TeacherComparisonOptions,
    execution: ExecutionOptions,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Fit the teachers to be compared, with the network, training and seed of the study's own.

    A teacher of the same name and options is therefore the same teacher. Kinds that the network is not for, such as
    dropout for one without a dropout layer, are left out with a warning.

    Raises:
        UserError: if no teacher can be fitted.
    """
    fitted: dict[str, Any] = {}
    curves: list[pd.DataFrame] = []
    quiet = execution.model_copy(update={"progress": False})
    posteriors = teacher_comparison.posteriors
    for name in tqdm(posteriors, desc="compared teachers", unit="teacher", disable=not execution.progress):
        one = teachers.model_copy(update={"posteriors": {name: posteriors[name]}})
        try:
            nested, table = teacher_nodes.fit_teachers(examples, task, one, quiet)
        except UserError as error:
            if not fitted and name == list(posteriors)[-1]:
                raise
            logger.warning("teacher comparison: teacher '%s' is left out: %s", name, error)
            continue
        fitted |= nested
        curves.append(table)
    return fitted, pd.concat(curves, ignore_index=True)


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
        num_workers(execution),
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
