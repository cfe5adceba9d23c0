"""Denoising: which entries of one-hot gradients a teacher turns around, and what that does to the weights."""

from kd_uncertainty.pipelines.denoising.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
