"""Runners of pipelines, for ``kedro run --runner``."""

from kd_uncertainty.runners.ray_runner import RayRunner

__all__ = ["RayRunner"]
