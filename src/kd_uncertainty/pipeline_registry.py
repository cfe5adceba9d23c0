"""The registered pipelines: read this file first, then ``pipelines/__init__.py``."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from kd_uncertainty.pipelines import study_pipeline


def register_pipelines() -> dict[str, Pipeline]:
    """Every study by name; ``<study>_from_responses`` leaves the teachers out, for one's own soft labels."""
    classification = study_pipeline("classification")
    return {
        "__default__": classification,
        "classification": classification,
        "classification_from_responses": study_pipeline("classification", without=("teachers", "responses")),
    }
