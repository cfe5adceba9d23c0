"""Nodes of the reporting stage of a deviations study."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import BaseModel

from kd_uncertainty.deviations.confidence import ConfidenceOptions
from kd_uncertainty.deviations.denoising import DenoisingOptions
from kd_uncertainty.deviations.eigenspace import EigenspaceOptions
from kd_uncertainty.deviations.switching import SwitchingOptions
from kd_uncertainty.options import AnalysisOptions, DeviationsStudyOptions, IngestionOptions, PageOptions
from kd_uncertainty.pipelines.reporting.nodes import provenance_of
from kd_uncertainty.report.deviations.figures import FIGURES
from kd_uncertainty.report.deviations.page import render_report
from kd_uncertainty.report.deviations.summary import make_summary

TABLES = (
    "deviations",
    "deviation_bins",
    "gains",
    "switching",
    "switching_teachers",
    "eigenspace_trajectories",
    "eigenspace_pairs",
    "denoising_entries",
    "denoising_alignment",
)
"""What the report is made from, in the order in which the nodes take them."""
SECTIONS = tuple(DeviationsStudyOptions.model_fields)
"""The sections of parameters, in the order in which the page takes them."""
ENGINE = {"device": "cpu", "backend": "auto", "reason": "the first that can train a network, for each kind"}
"""Where the populations are trained."""


def _named(tables: tuple[pd.DataFrame, ...]) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, tables, strict=True))


def summarise(task: dict[str, Any], analysis: AnalysisOptions, *tables: pd.DataFrame) -> dict[str, Any]:
    """What to do, and the paper's claims with a verdict each."""
    return make_summary(task, _named(tables), confidence=analysis.confidence)


def write_report(
    summary: dict[str, Any],
    ingestion: IngestionOptions,
    deviations: ConfidenceOptions,
    switching: SwitchingOptions,
    eigenspace: EigenspaceOptions,
    denoising: DenoisingOptions,
    analysis: AnalysisOptions,
    reporting: PageOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    figures = dict(zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True))
    tables = _named(figures_and_tables[len(FIGURES) :])
    given: list[BaseModel] = [ingestion, deviations, switching, eigenspace, denoising, analysis, reporting]
    sections = dict(zip(SECTIONS, given, strict=True))
    provenance = provenance_of("kedro run --pipelines deviations", sections, summary, ENGINE)
    return render_report(summary, figures, tables, provenance, title=reporting.title)
