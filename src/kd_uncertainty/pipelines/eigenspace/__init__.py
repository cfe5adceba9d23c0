"""Eigenspace: which directions of the inputs students and teachers learn first."""

from kd_uncertainty.pipelines.eigenspace.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
