"""Responses: every teacher's posterior logits are cached."""

from kd_uncertainty.pipelines.responses.pipeline import create_pipeline

FORMAT_VERSION = 2

__all__ = ["FORMAT_VERSION", "create_pipeline"]
