"""The report of the deviations study: figures, claims with verdicts, summary and page."""

from kd_uncertainty.report.deviations.figures import FIGURES, make_figures
from kd_uncertainty.report.deviations.page import render_report
from kd_uncertainty.report.deviations.summary import make_summary

__all__ = ["FIGURES", "make_figures", "make_summary", "render_report"]
