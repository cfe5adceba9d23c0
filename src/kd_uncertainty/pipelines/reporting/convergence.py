"""Nodes of the reporting stage of a convergence study."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import BaseModel

from kd_uncertainty.convergence.gradient_noise import GradientNoiseOptions
from kd_uncertainty.convergence.neighbourhood import NeighbourhoodOptions
from kd_uncertainty.convergence.stability import StabilityOptions
from kd_uncertainty.convergence.world import WorldOptions
from kd_uncertainty.options import (
    AnalysisOptions,
    ConvergenceStudyOptions,
    IngestionOptions,
    PageOptions,
    ResponsesOptions,
    TeachersOptions,
)
from kd_uncertainty.pipelines.reporting.nodes import provenance_of
from kd_uncertainty.report.convergence.figures import FIGURES
from kd_uncertainty.report.convergence.page import render_report
from kd_uncertainty.report.convergence.summary import make_summary

TABLES = (
    "gradient_noise",
    "descent",
    "plateau",
    "step_sweep",
    "mixture",
    "stability_curves",
    "stability",
    "teacher_error",
)
"""What the report is made from, in the order in which the nodes take them."""
SECTIONS = tuple(ConvergenceStudyOptions.model_fields)
"""The sections of parameters, in the order in which the page takes them."""


def _named(tables: tuple[pd.DataFrame, ...]) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, tables, strict=True))


def summarise(task: dict[str, Any], analysis: AnalysisOptions, *tables: pd.DataFrame) -> dict[str, Any]:
    """What to do, and the paper's claims with a verdict each."""
    return make_summary(task, _named(tables), confidence=analysis.confidence)


def write_report(  # noqa: PLR0913, PLR0917
    summary: dict[str, Any],
    engine: dict[str, Any],
    ingestion: IngestionOptions,
    teachers: TeachersOptions,
    responses: ResponsesOptions,
    world: WorldOptions,
    gradient_noise: GradientNoiseOptions,
    neighbourhood: NeighbourhoodOptions,
    stability: StabilityOptions,
    analysis: AnalysisOptions,
    reporting: PageOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    figures = dict(zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True))
    tables = _named(figures_and_tables[len(FIGURES) :])
    chain: list[BaseModel] = [ingestion, teachers, responses]
    experiments: list[BaseModel] = [world, gradient_noise, neighbourhood, stability]
    sections = dict(zip(SECTIONS, [*chain, *experiments, analysis, reporting], strict=True))
    provenance = provenance_of("kedro run --pipelines convergence", sections, summary, engine)
    return render_report(summary, figures, tables, provenance, title=reporting.title)
