"""Network bounds: generalisation gaps of real networks, and what the bounds say of them."""

from kd_uncertainty.pipelines.network_bounds.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
