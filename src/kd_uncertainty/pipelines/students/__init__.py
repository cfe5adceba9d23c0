"""Students: a plan, and the population that it describes."""

from kd_uncertainty.pipelines.students.pipeline import create_pipeline

FORMAT_VERSION = 3

__all__ = ["FORMAT_VERSION", "create_pipeline"]
