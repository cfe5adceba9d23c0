"""Deviations: how confident students are beside their teachers, and beside networks that had none."""

from kd_uncertainty.pipelines.deviations.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
