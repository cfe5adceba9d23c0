"""The report of the bounds study: figures, claims with verdicts, the design checklist, summary and page."""

from kd_uncertainty.report.bounds.figures import FIGURES, make_figures
from kd_uncertainty.report.bounds.page import render_report
from kd_uncertainty.report.bounds.summary import make_summary

__all__ = ["FIGURES", "make_figures", "make_summary", "render_report"]
