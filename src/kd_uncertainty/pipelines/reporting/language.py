"""Nodes of the reporting stage of a language study."""

from __future__ import annotations

from typing import Any

import pandas as pd
from plotly.graph_objects import Figure
from pydantic import BaseModel

from kd_uncertainty.language.options import (
    LanguagePropagationOptions,
    LanguageResponsesOptions,
    LanguageStudentsOptions,
    PromptOptions,
    SurrogateOptions,
)
from kd_uncertainty.options import LanguageStudyOptions, PageOptions
from kd_uncertainty.pipelines.reporting.nodes import provenance_of
from kd_uncertainty.report.figures import portable
from kd_uncertainty.report.language.figures import FIGURES, make_figures
from kd_uncertainty.report.language.page import render_report
from kd_uncertainty.report.language.summary import make_summary

TABLES = (
    "answer_variance",
    "answer_metrics",
    "answer_frequencies",
    "sample_answers",
    "surrogate",
    "student_curves",
    "plan",
)
"""What the report is made from, in the order in which the nodes take them."""
SECTIONS = tuple(LanguageStudyOptions.model_fields)
"""The sections of parameters, in the order in which the page takes them."""


def _named(tables: tuple[pd.DataFrame, ...]) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, tables, strict=True))


def summarise(task: dict[str, Any], propagation: LanguagePropagationOptions, *tables: pd.DataFrame) -> dict[str, Any]:
    """What to do, and the paper's claims with a verdict each."""
    return make_summary(task, _named(tables), confidence=propagation.confidence)


def draw_figures(propagation: LanguagePropagationOptions, *tables: pd.DataFrame) -> list[Figure]:
    """The study's figures."""
    figures = make_figures(_named(tables), confidence=propagation.confidence)
    return [portable(figures[name]) for name in FIGURES]


def write_report(
    summary: dict[str, Any],
    engine: dict[str, Any],
    ingestion: PromptOptions,
    responses: LanguageResponsesOptions,
    students: LanguageStudentsOptions,
    propagation: LanguagePropagationOptions,
    surrogate: SurrogateOptions,
    reporting: PageOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    figures = dict(zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True))
    tables = _named(figures_and_tables[len(FIGURES) :])
    given: list[BaseModel] = [ingestion, responses, students, propagation, surrogate, reporting]
    sections = dict(zip(SECTIONS, given, strict=True))
    provenance = provenance_of("kedro run --pipelines language", sections, summary, engine)
    return render_report(summary, figures, tables, provenance, title=reporting.title)
