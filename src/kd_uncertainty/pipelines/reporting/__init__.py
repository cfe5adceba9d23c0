"""Reporting: summary, figures and the page."""

from kd_uncertainty.pipelines.reporting.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
