"""What must be true before the first node runs: what is read is there, what is written may be, the plan is possible."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from kd_uncertainty.cluster import SHARDS, ShardCluster
from kd_uncertainty.device import resolve_device
from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import language_models
from kd_uncertainty.language.pretrained import import_transformers
from kd_uncertainty.language.weights import model_token
from kd_uncertainty.options import ExecutionOptions, RegressionStudyOptions, StudyOptions
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.targets import check_soft_labels
from kd_uncertainty.regression.plan import check_draws, make_value_plan
from kd_uncertainty.typed import Options

_PLANNED: dict[str, type[StudyOptions | RegressionStudyOptions]] = {
    "classification": StudyOptions,
    "regression": RegressionStudyOptions,
}
"""Studies with a plan of arms, and their options."""


class GuardHooks:
    """Refuse a run that could only end badly, before it has written anything."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Any] = {}

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the catalog's configuration."""
        self._entries = conf_catalog or {}

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Any) -> None:
        """Check the run's inputs, outputs, device and plan.

        Raises:
            UserError: if an input is missing, an output is a file of the user's own or its folder cannot be written,
                there is no such device, a language model is not installed, or the arms ask for what the teachers will
                not give.
        """
        for name in sorted(pipeline.inputs()):
            self._require_input(name, catalog)
        for name in sorted(pipeline.all_outputs()):
            self._require_output(name, pipeline)
        if "params:execution" in pipeline.datasets():
            trains = any(SHARDS in node.tags for node in pipeline.nodes)
            require_device(catalog.load("params:execution"), str(run_params.get("runner")), trains)
        for name in sorted(pipeline.inputs()):
            if name.startswith("params:language."):
                require_models(catalog.load(name))
        for name in sorted(pipeline.all_outputs()):
            study, _, table = name.partition(".")
            if table == "responses" and study in _PLANNED:
                sections = catalog.load("parameters")[study]
                require_possible_plan(_PLANNED[study].model_validate(_plain(sections)))

    def _require_input(self, name: str, catalog: Any) -> None:
        entry = self._entries.get(name, {})
        if "filepath" not in entry or entry.get("optional") or catalog.exists(name):
            return
        mend = (
            "correct its filepath"
            if "fingerprint" not in (entry.get("metadata") or {})
            else "run the stages before this one too, or all: kedro run --only-missing-outputs"
        )
        raise UserError(f"catalog entry '{name}' does not exist ({entry['filepath']}); {mend}")

    def _require_output(self, name: str, pipeline: Pipeline) -> None:
        entry = self._entries.get(name)
        if entry is None:
            return
        if "fingerprint" not in (entry.get("metadata") or {}):
            raise UserError(_overwritten(name, entry))
        if "filepath" in entry:
            require_writable(Path(entry["filepath"]))


def _overwritten(name: str, entry: Mapping[str, Any]) -> str:
    study, _, table = name.partition(".")
    mend = (
        f"leave the teachers out: kedro run --pipelines {study}_from_responses"
        if table == "responses"
        else f"start after it: kedro run --from-inputs {name}"
    )
    own = entry.get("filepath", entry.get("type"))
    return f"catalog entry '{name}' is your own ({own}) and this run would overwrite it; {mend}"


def require_writable(path: Path) -> None:
    """Check that a file could be made at ``path``, without making anything.

    Raises:
        UserError: if the nearest existing folder is not a folder or may not be written.
    """
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"data folder '{existing}' cannot be written (needed for {path.name}); make it a writable folder, or set "
            "another one as `data` in conf/local/globals.yml"
        )


def require_device(execution: ExecutionOptions, runner: str, trains: bool) -> None:
    """Check that the device is there: on the cluster if work goes there, otherwise here.

    Args:
        execution: as configured.
        runner: the run's; RayRunner checks what its nodes need.
        trains: whether students are trained, whose shards may go to a cluster.

    Raises:
        UserError: if it is not.
    """
    if "RayRunner" not in runner and execution.engine == "local":
        resolve_device(execution.device)
    if trains and execution.engine == "ray":
        ShardCluster(execution.cluster, execution.shard_resources, execution.device).resolve()


def require_models(section: Any) -> None:
    """Check that the language models that a section of parameters names are there, before hours go into another.

    Raises:
        UserError: if not, or if transformers is not installed.
    """
    models = language_models(section) if isinstance(section, Options) else []
    if models:
        import_transformers()
    for model in models:
        model_token(model)


def require_possible_plan(study: StudyOptions | RegressionStudyOptions) -> None:
    """Check that the arms' teachers are fitted and that enough posterior draws will be cached for them.

    Raises:
        UserError: if not.
    """
    draws = {
        name: teacher.cached_draws(study.responses.num_draws) for name, teacher in study.teachers.posteriors.items()
    }
    if isinstance(study, RegressionStudyOptions):
        check_draws(make_value_plan(study.students, draws), draws)
    else:
        check_soft_labels(make_plan(study.students, draws), draws)


def _plain(study: Mapping[str, Any]) -> dict[str, Any]:
    """Sections as plain values: Kedro has made models of some of them already."""
    return {
        name: section.model_dump(by_alias=True) if hasattr(section, "model_dump") else section
        for name, section in study.items()
    }
