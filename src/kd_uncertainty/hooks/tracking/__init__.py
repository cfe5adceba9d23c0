"""Experiment tracking with MLflow: one run for each ``kedro run``, one nested run for each stage."""

from kd_uncertainty.hooks.tracking.hook import TrackingHooks
from kd_uncertainty.hooks.tracking.options import TrackingOptions

__all__ = ["TrackingHooks", "TrackingOptions"]
