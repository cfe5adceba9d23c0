"""The registered pipelines: read this file first, then ``pipelines/__init__.py``."""

from __future__ import annotations

from kedro.pipeline import Pipeline

from kd_uncertainty.pipelines import STAGES, study_pipeline

_FITTING = ("teachers", "responses", "teacher_comparison")
"""The stages that fit teachers."""


def register_pipelines() -> dict[str, Pipeline]:
    """Every study by name; ``<study>_from_responses`` leaves the teachers out, for responses of one's own."""
    whole = {study: study_pipeline(study) for study in STAGES}
    started = {f"{study}_from_responses": study_pipeline(study, without=_FITTING) for study in STAGES}
    return {"__default__": whole["classification"], **whole, **started}
