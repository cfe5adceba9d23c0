"""Propagation: where the uncertainty went."""

from kd_uncertainty.pipelines.propagation.pipeline import create_pipeline

FORMAT_VERSION = 2

__all__ = ["FORMAT_VERSION", "create_pipeline"]
