"""The report: summary and recommendation, figures, the HTML page and the table for the terminal."""

from kd_uncertainty.report.console import summary_table
from kd_uncertainty.report.figures import make_figures
from kd_uncertainty.report.page import render_report
from kd_uncertainty.report.summary import make_summary

__all__ = ["make_figures", "make_summary", "render_report", "summary_table"]
