"""Stages as modular pipelines; a study is a chain of stages under the study's namespace."""

from __future__ import annotations

from functools import cache
from typing import Any

from kedro.pipeline import Pipeline

from kd_uncertainty.pipelines import (
    bootstrap,
    decomposition,
    denoising,
    deviations,
    eigenspace,
    gradient_noise,
    ingestion,
    initialisation,
    neighbourhood,
    network_bounds,
    processes,
    propagation,
    remedies,
    reporting,
    responses,
    stability,
    student_output,
    students,
    surrogate,
    switching,
    teacher_comparison,
    teacher_output,
    teachers,
)

_CHAIN = (ingestion, teachers, responses, students, propagation)
_SECTIONS = (teacher_output, initialisation, bootstrap, student_output, remedies)
"""The experiments of the uncertainty-propagation paper, section by section (arXiv 2601.18909)."""
_EXPERIMENTS = (gradient_noise, neighbourhood, stability)
"""Those on distillation with Bayesian teachers (arXiv 2601.01484)."""
_STUDIES = {
    "classification": (*_CHAIN, deviations, teacher_comparison, reporting),
    "regression": (*_CHAIN, *_SECTIONS, reporting),
    "convergence": (ingestion, teachers, responses, *_EXPERIMENTS, reporting),
    "deviations": (ingestion, deviations, switching, eigenspace, denoising, reporting),
    "bounds": (ingestion, processes, decomposition, network_bounds, reporting),
    "language": (ingestion, responses, students, propagation, surrogate, reporting),
}


def _name(stage: object) -> str:
    return getattr(stage, "__name__", "").rpartition(".")[2]


STAGES = {study: tuple(_name(stage) for stage in stages) for study, stages in _STUDIES.items()}
"""The names of every study's stages, in order."""

FORMAT_VERSIONS = {_name(stage): stage.FORMAT_VERSION for stages in _STUDIES.values() for stage in stages}
"""Raised by hand when a stage's code comes to give another result for the same inputs."""


@cache  # a pipeline does not change, and is slow to put together
def study_pipeline(study: str, without: tuple[str, ...] = ()) -> Pipeline:
    """Chain the stages under ``study``: nodes ``study.stage.name``, tables ``study.table``, ``params:study.stage``."""
    stages = [
        Pipeline(_create(stage, study), namespace=name, prefix_datasets_with_namespace=False, tags=[name])
        for name, stage in zip(STAGES[study], _STUDIES[study], strict=True)
        if name not in without
    ]
    chain = sum(stages, Pipeline([]))
    return Pipeline(chain, namespace=study, parameters={"params:execution"} & chain.inputs(), tags=[study])


def _create(stage: Any, study: str) -> Pipeline:
    """A stage's nodes; those that several studies share differ by what is predicted."""
    shared = stage in (*_CHAIN, deviations, reporting)
    created: Pipeline = stage.create_pipeline(study) if shared else stage.create_pipeline()
    return created
