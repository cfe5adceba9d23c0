"""Gradient noise: what labels leave at the optimum of a linear softmax student, in closed form and measured."""

from kd_uncertainty.pipelines.gradient_noise.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
