"""Teacher output: a section of the uncertainty-propagation paper (arXiv 2601.18909)."""

from kd_uncertainty.pipelines.teacher_output.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
