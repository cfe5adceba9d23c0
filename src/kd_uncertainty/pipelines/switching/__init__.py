"""Switching: from one-hot labels to a teacher part-way through training, and back."""

from kd_uncertainty.pipelines.switching.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
