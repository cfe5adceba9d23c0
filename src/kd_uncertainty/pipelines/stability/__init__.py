"""Stability: networks trained on each kind of labels, looked at along the way."""

from kd_uncertainty.pipelines.stability.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
