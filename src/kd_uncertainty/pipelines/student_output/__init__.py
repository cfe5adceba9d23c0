"""Student output: how much of the teacher's own uncertainty students keep (section 6)."""

from kd_uncertainty.pipelines.student_output.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
