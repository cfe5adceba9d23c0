"""Nodes of the reporting stage."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pydantic import BaseModel

from kd_uncertainty.deviations.study import StudyDeviationsOptions
from kd_uncertainty.options import (
    IngestionOptions,
    PropagationOptions,
    ReportingOptions,
    ResponsesOptions,
    StudentsOptions,
    TeacherComparisonOptions,
    TeachersOptions,
)
from kd_uncertainty.report.figures import CHAIN_FIGURES, FIGURES, make_figures, portable
from kd_uncertainty.report.page import render_report
from kd_uncertainty.report.summary import make_summary

TABLES = (
    "teacher_metrics",
    "reliability",
    "student_metrics",
    "arm_metrics",
    "variance_components",
    "response_budget",
    "plan",
    "student_curves",
    "teacher_comparison",
    "deviation_bins",
    "deviations",
    "schedule_gains",
)
"""What the report is made from, in the order in which the nodes take them; what was not measured is None."""

_PACKAGES = ("kd-uncertainty", "torch", "numpy", "pandas", "scikit-learn", "scipy", "kedro")


def _named(tables: tuple[pd.DataFrame | None, ...]) -> dict[str, pd.DataFrame]:
    return {name: table for name, table in zip(TABLES, tables, strict=True) if table is not None}


def summarise(
    task: dict[str, Any],
    propagation: PropagationOptions,
    reporting: ReportingOptions,
    teacher_recommendation: dict[str, Any] | None,
    *tables: pd.DataFrame | None,
) -> dict[str, Any]:
    """Headline figures and the recommendation."""
    return make_summary(
        task,
        _named(tables),
        confidence=propagation.confidence,
        split=reporting.split,
        teacher_recommendation=teacher_recommendation,
    )


def draw_figures(reporting: ReportingOptions, *tables: pd.DataFrame | None) -> list[Figure]:
    """The figures of the chain; that of the teacher comparison is there already, if it was run."""
    figures = make_figures(_named(tables), reporting.split)
    return [portable(figures[name]) for name in CHAIN_FIGURES]


def about_data(task: dict[str, Any]) -> str:
    """What the study was run on, in a few words."""
    if "num_prompts" in task:
        return f"{task['num_prompts']:,} prompts, digest {task['source_digest']}"
    return f"{sum(task['num_examples'].values()):,} examples, digest {task['source_digest']}"


def provenance_of(
    command: str, sections: Mapping[str, BaseModel], summary: Mapping[str, Any], engine: Mapping[str, Any]
) -> dict[str, Any]:
    """What it takes to run a study again: command, parameters, seeds, versions, data, device, backend."""
    parameters = {name: section.model_dump(mode="json", by_alias=True) for name, section in sections.items()}
    return {
        "command": command,
        "parameters": parameters,
        "seeds": {name: section["seed"] for name, section in parameters.items() if "seed" in section},
        "versions": {package: version(package) for package in _PACKAGES},
        "data": about_data(summary["task"]),
        "device": engine["device"],
        "backend": engine["backend"],
        "backend_reason": engine["reason"],
    }


def write_report(  # noqa: PLR0913, PLR0917
    summary: dict[str, Any],
    engine: dict[str, Any],
    ingestion: IngestionOptions,
    teachers: TeachersOptions,
    responses: ResponsesOptions,
    students: StudentsOptions,
    propagation: PropagationOptions,
    deviations: StudyDeviationsOptions,
    teacher_comparison: TeacherComparisonOptions,
    reporting: ReportingOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    given = zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True)
    figures = {name: figure for name, figure in given if figure is not None}
    sections: dict[str, BaseModel] = {
        "ingestion": ingestion,
        "teachers": teachers,
        "responses": responses,
        "students": students,
        "propagation": propagation,
        "deviations": deviations,
        "teacher_comparison": teacher_comparison,
        "reporting": reporting,
    }
    provenance = provenance_of("kedro run", sections, summary, engine)
    tables = _named(figures_and_tables[len(FIGURES) :])
    return render_report(summary, figures, tables, provenance, title=reporting.title)
