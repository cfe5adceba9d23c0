"""Decomposition: which of the teacher's and student's properties the divergence of a linear world is made of."""

from kd_uncertainty.pipelines.decomposition.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
