"""The bounds study's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.bounds.figures.design import sweeps_figure
from kd_uncertainty.report.bounds.figures.networks import networks_figure
from kd_uncertainty.report.bounds.figures.processes import processes_figure
from kd_uncertainty.report.bounds.figures.sharpness import sharpness_figure
from kd_uncertainty.report.study_figures import with_level

__all__ = ["FIGURES", "make_figures"]

FIGURES = ("decomposition_sweeps", "processes", "sharpness", "network_bounds")
EXACT = ("processes", "sharpness")
"""Figures of enumerated processes, which have no intervals."""


def make_figures(tables: Tables, *, confidence: float = 0.95, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        confidence: The level of their intervals, for the captions; enumerated processes have none.
        narrow: For narrow screens: one panel below the other.
    """
    figures = {
        "decomposition_sweeps": sweeps_figure(table(tables, "decomposition_sweeps"), narrow=narrow),
        "processes": processes_figure(table(tables, "processes"), narrow=narrow),
        "sharpness": sharpness_figure(table(tables, "sharpness"), narrow=narrow),
        "network_bounds": networks_figure(table(tables, "network_bounds"), narrow=narrow),
    }
    return {name: figure if name in EXACT else with_level(figure, confidence) for name, figure in figures.items()}
