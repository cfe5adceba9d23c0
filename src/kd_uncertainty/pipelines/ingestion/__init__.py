"""Ingestion: a source table becomes examples with splits."""

from kd_uncertainty.pipelines.ingestion.pipeline import create_pipeline

FORMAT_VERSION = 2

__all__ = ["FORMAT_VERSION", "create_pipeline"]
