"""The report of the convergence study: figures, claims with verdicts, summary and page."""

from kd_uncertainty.report.convergence.figures import FIGURES, make_figures
from kd_uncertainty.report.convergence.page import render_report
from kd_uncertainty.report.convergence.summary import make_summary

__all__ = ["FIGURES", "make_figures", "make_summary", "render_report"]
