"""Bootstrap: students that differ in the examples they see (section 5)."""

from kd_uncertainty.pipelines.bootstrap.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
