"""Initialisation: students that differ in where training starts (section 5)."""

from kd_uncertainty.pipelines.initialisation.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
