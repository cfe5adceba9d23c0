"""The report of the regression study: figures, claims with verdicts, summary and page."""

from kd_uncertainty.report.regression.figures import FIGURES, make_figures
from kd_uncertainty.report.regression.page import render_report
from kd_uncertainty.report.regression.summary import make_summary

__all__ = ["FIGURES", "make_figures", "make_summary", "render_report"]
