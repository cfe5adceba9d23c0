"""Teacher comparison: which teacher makes the better student, with how many draws, mixed and softened how."""

from kd_uncertainty.pipelines.teacher_comparison.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
