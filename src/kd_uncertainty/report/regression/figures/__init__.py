"""The regression study's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.figures.style import portable
from kd_uncertainty.report.regression.figures.advice import advice_figure
from kd_uncertainty.report.regression.figures.bootstrap import bootstrap_figure
from kd_uncertainty.report.regression.figures.curve import response_curve
from kd_uncertainty.report.regression.figures.initialisation import initialisation_figure
from kd_uncertainty.report.regression.figures.quality import student_quality
from kd_uncertainty.report.regression.figures.remedies import remedies_figure
from kd_uncertainty.report.regression.figures.sources import uncertainty_sources
from kd_uncertainty.report.regression.figures.student_output import student_output_figure
from kd_uncertainty.report.regression.figures.teacher_output import teacher_output_figure

__all__ = [
    "CHAIN_FIGURES",
    "FIGURES",
    "SECTION_FIGURES",
    "advice_figure",
    "bootstrap_figure",
    "initialisation_figure",
    "make_figures",
    "portable",
    "remedies_figure",
    "response_curve",
    "student_output_figure",
    "student_quality",
    "teacher_output_figure",
    "uncertainty_sources",
]

CHAIN_FIGURES = ("advice", "uncertainty_sources", "response_curve", "student_quality")
"""Figures of the crossed design, drawn in the reporting stage."""
SECTION_FIGURES = ("teacher_output", "initialisation", "bootstrap", "student_output", "remedies")
"""Figures of the paper's sections, each drawn in its own stage."""
FIGURES = (*CHAIN_FIGURES, *SECTION_FIGURES)


def make_figures(tables: Tables, split: str = "test", *, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        split: The split to show; the response curve shows the validation split, on which it is fitted.
        narrow: For narrow screens: one panel below the other.
    """
    components = table(tables, "variance_components")
    chain = {
        "advice": advice_figure(table(tables, "advice"), narrow=narrow),
        "uncertainty_sources": uncertainty_sources(components, split, narrow=narrow),
        "response_curve": response_curve(components, table(tables, "response_budget"), narrow=narrow),
        "student_quality": student_quality(
            table(tables, "arm_metrics"), table(tables, "teacher_metrics"), split, narrow=narrow
        ),
    }
    sections = {
        "teacher_output": teacher_output_figure(table(tables, "teacher_output"), narrow=narrow),
        "initialisation": initialisation_figure(table(tables, "initialisation"), narrow=narrow),
        "bootstrap": bootstrap_figure(table(tables, "bootstrap"), narrow=narrow),
        "student_output": student_output_figure(table(tables, "student_output"), narrow=narrow),
        "remedies": remedies_figure(table(tables, "remedies"), narrow=narrow),
    }
    return {**chain, **sections}
