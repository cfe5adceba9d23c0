"""Neighbourhood: how far stochastic gradient descent gets on each kind of labels."""

from kd_uncertainty.pipelines.neighbourhood.pipeline import create_pipeline

FORMAT_VERSION = 1

__all__ = ["FORMAT_VERSION", "create_pipeline"]
