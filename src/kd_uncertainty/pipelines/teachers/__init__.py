"""Teachers: posteriors are fitted to the training split."""

from kd_uncertainty.pipelines.teachers.pipeline import create_pipeline

FORMAT_VERSION = 3

__all__ = ["FORMAT_VERSION", "create_pipeline"]
