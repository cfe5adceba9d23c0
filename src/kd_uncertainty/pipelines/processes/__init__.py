"""Processes: distillations that can be enumerated, and every bound beside the truth."""

from kd_uncertainty.pipelines.processes.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
