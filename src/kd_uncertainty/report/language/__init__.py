"""The report of the language study: figures, claims with verdicts, summary and page."""

from kd_uncertainty.report.language.figures import FIGURES, make_figures
from kd_uncertainty.report.language.page import render_report
from kd_uncertainty.report.language.summary import make_summary

__all__ = ["FIGURES", "make_figures", "make_summary", "render_report"]
