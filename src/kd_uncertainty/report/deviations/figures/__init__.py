"""The deviations study's figures: pure functions from tables to plotly figures."""

from __future__ import annotations

import plotly.graph_objects as go

from kd_uncertainty.report.arms import Tables, table
from kd_uncertainty.report.deviations.figures.alignment import alignment_figure
from kd_uncertainty.report.deviations.figures.bins import bins_figure
from kd_uncertainty.report.deviations.figures.entries import entries_figure
from kd_uncertainty.report.deviations.figures.gains import gains_figure
from kd_uncertainty.report.deviations.figures.pairs import pairs_figure
from kd_uncertainty.report.deviations.figures.slopes import deviations_figure
from kd_uncertainty.report.deviations.figures.switching import switching_figure
from kd_uncertainty.report.deviations.figures.trajectories import trajectories_figure
from kd_uncertainty.report.study_figures import with_level

__all__ = ["FIGURES", "bins_figure", "deviations_figure", "make_figures"]

FIGURES = (
    "deviations",
    "deviation_bins",
    "gains",
    "switching",
    "eigenspace_trajectories",
    "eigenspace_pairs",
    "denoising_entries",
    "denoising_alignment",
)
UNBOUNDED = {"deviation_bins": "Bars are quartiles.", "eigenspace_trajectories": ""}
"""Figures without intervals, and what to say instead."""


def make_figures(tables: Tables, *, confidence: float = 0.95, narrow: bool = False) -> dict[str, go.Figure]:
    """All figures by name; a table that is missing gives a figure that says so.

    Args:
        tables: The study's tables by name.
        confidence: The level of their intervals, for the captions.
        narrow: For narrow screens: one panel below the other.
    """
    deviations = table(tables, "deviations")
    figures = {
        "deviations": deviations_figure(deviations, narrow=narrow),
        "deviation_bins": bins_figure(table(tables, "deviation_bins"), narrow=narrow),
        "gains": gains_figure(deviations, table(tables, "gains"), narrow=narrow),
        "switching": switching_figure(table(tables, "switching"), narrow=narrow),
        "eigenspace_trajectories": trajectories_figure(table(tables, "eigenspace_trajectories"), narrow=narrow),
        "eigenspace_pairs": pairs_figure(table(tables, "eigenspace_pairs"), narrow=narrow),
        "denoising_entries": entries_figure(table(tables, "denoising_entries"), narrow=narrow),
        "denoising_alignment": alignment_figure(table(tables, "denoising_alignment"), narrow=narrow),
    }
    return {name: with_level(figure, confidence, UNBOUNDED.get(name)) for name, figure in figures.items()}
