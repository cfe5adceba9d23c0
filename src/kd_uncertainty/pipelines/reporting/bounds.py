"""Nodes of the reporting stage of a bounds study."""

from __future__ import annotations

from typing import Any

import pandas as pd
from pydantic import BaseModel

from kd_uncertainty.bounds.decomposition import DecompositionOptions
from kd_uncertainty.bounds.langevin import LangevinBoundsOptions
from kd_uncertainty.bounds.networks import NetworkBoundsOptions
from kd_uncertainty.bounds.processes import ProcessesOptions
from kd_uncertainty.options import AnalysisOptions, BoundsStudyOptions, IngestionOptions, PageOptions
from kd_uncertainty.pipelines.reporting.deviations import ENGINE
from kd_uncertainty.pipelines.reporting.nodes import provenance_of
from kd_uncertainty.report.bounds.figures import FIGURES
from kd_uncertainty.report.bounds.page import render_report
from kd_uncertainty.report.bounds.summary import make_summary

TABLES = (
    "processes",
    "sharpness",
    "decomposition_sweeps",
    "decomposition_checklist",
    "decomposition_audit",
    "network_bounds",
    "langevin_bounds",
)
"""What the report is made from, in the order in which the nodes take them."""
SECTIONS = tuple(BoundsStudyOptions.model_fields)
"""The sections of parameters, in the order in which the page takes them."""


def _named(tables: tuple[pd.DataFrame, ...]) -> dict[str, pd.DataFrame]:
    return dict(zip(TABLES, tables, strict=True))


def summarise(task: dict[str, Any], analysis: AnalysisOptions, *tables: pd.DataFrame) -> dict[str, Any]:
    """What to change first, and the paper's claims with a verdict each."""
    return make_summary(task, _named(tables), confidence=analysis.confidence)


def write_report(
    summary: dict[str, Any],
    ingestion: IngestionOptions,
    processes: ProcessesOptions,
    decomposition: DecompositionOptions,
    network_bounds: NetworkBoundsOptions,
    langevin_bounds: LangevinBoundsOptions,
    analysis: AnalysisOptions,
    reporting: PageOptions,
    *figures_and_tables: Any,
) -> str:
    """The page."""
    figures = dict(zip(FIGURES, figures_and_tables[: len(FIGURES)], strict=True))
    tables = _named(figures_and_tables[len(FIGURES) :])
    given: list[BaseModel] = [ingestion, processes, decomposition, network_bounds, langevin_bounds, analysis, reporting]
    provenance = provenance_of("kedro run --pipelines bounds", dict(zip(SECTIONS, given, strict=True)), summary, ENGINE)
    return render_report(summary, figures, tables, provenance, title=reporting.title)
