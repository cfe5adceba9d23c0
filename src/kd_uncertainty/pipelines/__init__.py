"""Stages as modular pipelines; a study is the chain of all stages under the study's namespace."""

from __future__ import annotations

from collections.abc import Collection

from kedro.pipeline import Pipeline

from kd_uncertainty.pipelines import ingestion, propagation, reporting, responses, students, teachers

_STAGES = (ingestion, teachers, responses, students, propagation, reporting)
STAGES = tuple(stage.__name__.rpartition(".")[2] for stage in _STAGES)
"""The stages' names, in order."""

FORMAT_VERSIONS = {name: stage.FORMAT_VERSION for name, stage in zip(STAGES, _STAGES, strict=True)}
"""Raised by hand when a stage's code comes to give another result for the same inputs."""


def study_pipeline(study: str, without: Collection[str] = ()) -> Pipeline:
    """Chain the stages under ``study``: nodes ``study.stage.name``, tables ``study.table``, ``params:study.stage``."""
    stages = [
        Pipeline(stage.create_pipeline(), namespace=name, prefix_datasets_with_namespace=False, tags=[name])
        for name, stage in zip(STAGES, _STAGES, strict=True)
        if name not in without
    ]
    chain = sum(stages, Pipeline([]))
    return Pipeline(chain, namespace=study, parameters={"params:execution"} & chain.inputs(), tags=[study])
