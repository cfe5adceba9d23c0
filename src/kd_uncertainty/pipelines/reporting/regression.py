"""Nodes of the reporting stage of a regression study."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pydantic import BaseModel

from kd_uncertainty.options import (
    RegressionStudyOptions,
    ReportingOptions,
    TeachersOptions,
    ValuePropagationOptions,
)
from kd_uncertainty.pipelines.reporting.nodes import provenance_of
from kd_uncertainty.regression.bootstrap import BootstrapOptions
from kd_uncertainty.regression.initialisation import InitialisationOptions
from kd_uncertainty.regression.options import ValueResponsesOptions, ValueStudentsOptions
from kd_uncertainty.regression.remedies import RemediesOptions
from kd_uncertainty.regression.student_output import StudentOutputOptions
from kd_uncertainty.regression.teacher_output import TeacherOutputOptions
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.regression.figures import CHAIN_FIGURES, FIGURES, SECTION_FIGURES, make_figures
from kd_uncertainty.report.regression.page import render_report
from kd_uncertainty.report.regression.summary import make_summary
from kd_uncertainty.tasks.options import TableOptions

TABLES = (
    "teacher_metrics",
    "student_metrics",
    "arm_metrics",
    "variance_components",
    "response_budget",
    "advice",
    "plan",
    *SECTION_FIGURES,  # of the sections' own tables, by the same names
)
"""What the report is made from, in the order in which the nodes take them."""
SECTIONS = tuple(RegressionStudyOptions.model_fields)
"""The sections of parameters, in the order in which the page takes them."""


def _named(tables: tuple[pd.DataFrame, ...]) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, tables, strict=True))


def summarise(
    task: dict[str, Any], propagation: ValuePropagationOptions, reporting: ReportingOptions, *tables: pd.DataFrame
) -> dict[str, Any]:
    """Headline figures, the advice, and the paper's claims with a verdict each."""
    return make_summary(task, _named(tables), confidence=propagation.confidence, split=reporting.split)


def draw_figures(reporting: ReportingOptions, *tables: pd.DataFrame) -> list[Figure]:
    """The figures of the chain; those of the sections are there already."""
    figures = make_figures(_named(tables), reporting.split)
    return [portable(figures[name]) for name in CHAIN_FIGURES]


def write_report(  # noqa: PLR0913, PLR0917
    summary: dict[str, Any],
    engine: dict[str, Any],
    ingestion: TableOptions,
    teachers: TeachersOptions,
    responses: ValueResponsesOptions,
    students: ValueStudentsOptions,
    propagation: ValuePropagationOptions,
    teacher_output: TeacherOutputOptions,
    initialisation: InitialisationOptions,
    bootstrap: BootstrapOptions,
    student_output: StudentOutputOptions,
    remedies: RemediesOptions,
    reporting: ReportingOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    figures = dict(zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True))
    chain: list[BaseModel] = [ingestion, teachers, responses, students, propagation]
    experiments: list[BaseModel] = [teacher_output, initialisation, bootstrap, student_output, remedies]
    sections = dict(zip(SECTIONS, [*chain, *experiments, reporting], strict=True))
    provenance = provenance_of("kedro run --pipelines regression", sections, summary, engine)
    tables = _named(figures_and_tables[len(FIGURES) :])
    return render_report(summary, figures, tables, provenance, title=reporting.title)
