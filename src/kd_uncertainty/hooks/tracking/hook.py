"""The Kedro hook: it watches a run and tells MLflow; it never lets tracking cost a result."""

from __future__ import annotations

import atexit
import getpass
import logging
import os
import shlex
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from kedro import __version__ as kedro_version
from kedro.framework.context import KedroContext
from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from kd_uncertainty.hooks.tracking.options import TrackingOptions, load_options
from kd_uncertainty.hooks.tracking.progress import Catalog, Stage, stage_key, stages_of
from kd_uncertainty.hooks.tracking.runs import RunTree
from kd_uncertainty.hooks.tracking.store import Store, bounded_requests, open_store, quiet, resolve_store

_logger = logging.getLogger(__name__)
_LATER = "`kedro run --only-missing-outputs` records every stage from its finished artefacts, recomputing nothing"


class TrackingHooks:
    """Track each ``kedro run`` in MLflow: a parent run, and a nested run for each stage that was asked for.

    A stage is the second part of a node's namespace: ``classification.students`` is stage ``students`` of study
    ``classification``. Its run is created when it starts and filled from its persisted tables when it is done, so a
    stage that ``--only-missing-outputs`` skips is logged too, tagged ``reused``.

    Args:
        fingerprints: returns the fingerprint of each stage, keyed ``<study>.<stage>``; asked once, as a run starts.
            Without it, or for a stage that it leaves out, ``metadata: {fingerprint: …}`` of the stage's outputs in the
            catalog is taken.
    """

    def __init__(self, fingerprints: Callable[[], Mapping[str, str]] | None = None) -> None:
        self._ask_fingerprints = fingerprints
        self._options = TrackingOptions(enabled=False)
        self._project_path = Path()
        self._stages: dict[str, Stage] = {}
        self._reusable: list[Stage] = []
        self._tree: RunTree | None = None
        self._lock = threading.RLock()
        self._process = os.getpid()

    @hook_impl
    def after_context_created(self, context: KedroContext) -> None:
        """Read and check ``tracking.yml``."""
        self._options = load_options(context.config_loader)
        self._project_path = Path(context.project_path)

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Pipeline, catalog: Catalog) -> None:
        """Open the store and the parent run, or warn that the run goes on untracked."""
        self._tree, self._reusable = None, []
        if not self._options.enabled:
            return
        self._process = os.getpid()
        self._stages = stages_of(pipeline)
        store = resolve_store(self._options, self._project_path)
        try:
            client, experiment_id = open_store(store, self._options)
        except Exception as error:  # whatever keeps the store from working must not keep the study from running
            _logger.warning("%s", _untracked(store, error))
            return
        self._tree = RunTree(client, experiment_id, self._options, catalog)
        self._attempt(self._open, run_params)
        atexit.register(self._at_exit)

    @hook_impl
    def before_dataset_loaded(self, node: Node) -> None:
        """Note that the node begins."""
        self._begin(node)

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Note that a node without inputs begins."""
        self._begin(node)

    @hook_impl
    def after_node_run(self, node: Node) -> None:
        """Note that a node without outputs has run."""
        if not node.outputs and (stage := self._stage(node)) is not None:
            with self._lock:
                stage.end(node)
                self._finish_if_complete(stage)

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Node) -> None:
        """Note what is saved, and log the stage once all of it is."""
        if (stage := self._stage(node)) is not None:
            with self._lock:
                stage.save(node, dataset_name)
                self._finish_if_complete(stage)

    @hook_impl
    def on_node_error(self, error: Exception, node: Node) -> None:
        """Note which stage failed."""
        if (stage := self._stage(node)) is not None:
            stage.error = error

    @hook_impl
    def after_pipeline_run(self) -> None:
        """Log the stages that were reused or ran in part, and end the parent run."""
        self._attempt(self._log_rest)
        self._attempt(lambda tree: tree.close("FINISHED", {}))
        self._done()

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        """End the failed stage and the parent run as FAILED, with the error as a tag."""
        self._attempt(self._log_reused)
        self._attempt(lambda tree: tree.fail(error))
        self._done()

    def _stage(self, node: Node) -> Stage | None:
        """The node's stage if this process tracks: hooks inherited by a forked worker stay silent."""
        if self._tree is None or os.getpid() != self._process:
            return None
        return self._stages.get(stage_key(node) or "")

    def _begin(self, node: Node) -> None:
        if (stage := self._stage(node)) is not None:
            with self._lock:
                stage.begin(node)
                self._attempt(lambda tree: tree.begin(stage))

    def _finish_if_complete(self, stage: Stage) -> None:
        if stage.complete and not stage.recorded:
            self._attempt(lambda tree: tree.finish(stage))

    def _open(self, tree: RunTree, run_params: Mapping[str, Any]) -> None:
        if run_params.get("only_missing_outputs"):  # asked now: afterwards every stage has its outputs
            self._reusable = [stage for stage in self._stages.values() if tree.outputs_exist(stage)]
        fingerprints = self._ask_fingerprints() if self._ask_fingerprints is not None else {}
        name = run_name(run_params, self._stages)
        tree.open(name, run_tags(run_params, self._project_path), self._stages, fingerprints)

    def _log_rest(self, tree: RunTree) -> None:
        self._log_reused(tree)
        for stage in self._stages.values():
            if not stage.recorded:  # ran in part, or in the worker processes of ParallelRunner
                tree.finish(stage)

    def _log_reused(self, tree: RunTree) -> None:
        for stage in self._reusable:
            if not stage.started:
                tree.finish(stage, reused=True)

    def _attempt(self, action: Callable[..., None], *arguments: Any) -> None:
        """Do something with the run tree; if that fails, warn once and stop tracking this run."""
        with self._lock:
            tree = self._tree
            if tree is None or os.getpid() != self._process:
                return
            try:
                with quiet(), bounded_requests():
                    action(tree, *arguments)
            except Exception as error:  # tracking must never cost a result
                _logger.warning(
                    "MLflow tracking stopped (%s); the run goes on untracked and keeps its results. Later, %s.",
                    _reason(error),
                    _LATER,
                )
                _logger.debug("Tracking error", exc_info=error)
                self._done()

    def _done(self) -> None:
        if self._tree is not None and os.getpid() == self._process:
            self._tree.stop_sampling()
            atexit.unregister(self._at_exit)
            self._tree = None

    def _at_exit(self) -> None:
        """End the runs after Ctrl-C, of which Kedro tells no hook."""
        self._attempt(lambda tree: tree.interrupt())
        self._done()


def run_name(run_params: Mapping[str, Any], stages: Mapping[str, Stage]) -> str:
    """Name the parent run by its pipelines, or by its studies for the default pipeline, and by a named environment."""
    studies = dict.fromkeys(stage.study for stage in stages.values())
    names = run_params.get("pipeline_names") or list(studies) or ["default"]
    env = run_params.get("env")
    return "+".join(names) + (f" [{env}]" if env and env != "local" else "")


def run_tags(run_params: Mapping[str, Any], project_path: Path) -> dict[str, str]:
    """Tags of the parent run: what was asked for, from which code, by whom. Empty ones are left out."""
    command = shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])
    tags = {
        "pipeline": "+".join(run_params.get("pipeline_names") or ["__default__"]),
        "env": run_params.get("env") or "local",
        "command": command,
        "kedro_version": run_params.get("kedro_version") or kedro_version,
        "runner": str(run_params.get("runner") or "").split(" object at ")[0].rsplit(".", 1)[-1],
        "only_missing_outputs": "true" if run_params.get("only_missing_outputs") else "",
        "mlflow.source.name": command,
        "mlflow.source.type": "LOCAL",
        "mlflow.source.git.commit": _git_commit(project_path),
        "mlflow.user": _user(),
    }
    filters = ("namespaces", "tags", "node_names", "from_nodes", "to_nodes", "from_inputs", "to_outputs")
    tags |= {name: ", ".join(run_params.get(name) or ()) for name in filters}
    return {name: value for name, value in tags.items() if value}


def _git_commit(project_path: Path) -> str:
    with suppress(OSError, subprocess.SubprocessError):
        command = ["git", "-C", str(project_path), "rev-parse", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, timeout=5, check=True).stdout.strip()
    return ""


def _user() -> str:
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return ""


def _untracked(store: Store, error: BaseException) -> str:
    """One sentence: what is wrong, what happens now, and how to log the run later."""
    server = store.uri.startswith(("http://", "https://"))
    mend = "start the server" if server else "make the store usable (uri in conf/*/tracking.yml)"
    address = store.uri.rsplit("@", 1)[-1]  # without a password
    return (
        f"MLflow at {address} cannot be used ({_reason(error)}), so this run goes on untracked and keeps its results; "
        f"to log it later, {mend}, then {_LATER}."
    )


def _reason(error: BaseException) -> str:
    """The innermost cause, which says more than MLflow's layers around it."""
    seen = {id(error)}
    while (cause := error.__cause__ or error.__context__) is not None and id(cause) not in seen:
        seen.add(id(cause))
        error = cause
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
