"""What the terminal shows when a run has ended: the short table, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node
from rich.console import Console

from kd_uncertainty.hooks.tracking.options import load_options
from kd_uncertainty.hooks.tracking.store import Store, resolve_store
from kd_uncertainty.report.console import summary_table


class ConsoleHooks:
    """Print the headline of every study that the run reported on, and how long its stages took."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Any] = {}
        self._project = Path.cwd()
        self._store: Store | None = None
        self._started: dict[str, float] = {}
        self._seconds: dict[str, float] = {}

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Remember where the project is, and where its runs are tracked."""
        self._project = context.project_path
        options = load_options(context.config_loader)
        self._store = resolve_store(options, self._project) if options.enabled else None

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the catalog's configuration, for the paths."""
        self._entries = conf_catalog or {}

    @hook_impl
    def before_pipeline_run(self) -> None:
        """Forget an earlier run's times."""
        self._started, self._seconds = {}, {}

    @hook_impl
    def before_node_run(self, node: Node) -> None:
        """Start the node's clock."""
        self._started[node.name] = perf_counter()

    @hook_impl
    def after_dataset_saved(self, node: Node) -> None:
        """Read the node's clock: what is drawn or trained while it is saved counts too."""
        if node.name in self._started:
            self._seconds[node.name] = perf_counter() - self._started[node.name]

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: Any) -> None:
        """Print the table and the paths of the report, MLflow and Kedro-Viz."""
        reported = [name for name in sorted(pipeline.all_outputs()) if name.endswith(".summary")]
        if not reported:
            return
        console = Console()
        for name in reported:
            study = name.removesuffix(".summary")
            console.print()
            console.print(summary_table(catalog.load(name)))
            if self._seconds:
                console.print(f"seconds  {self._stages(study)}", highlight=False, soft_wrap=True)
            report = Path(str(self._entries.get(f"{study}.report", {}).get("filepath", "")))
            console.print(f"report   {self._short(report)} (open it in a browser)", soft_wrap=True, highlight=False)
        console.print(f"MLflow   {self._tracked()}", soft_wrap=True, highlight=False)
        console.print("graph    make viz, then http://127.0.0.1:4141", highlight=False)

    def _stages(self, study: str) -> str:
        """Seconds of each stage of a study, in the order in which they ended."""
        totals: dict[str, float] = {}
        for name, seconds in self._seconds.items():
            owner, stage, _ = name.split(".", 2)
            if owner == study:
                totals[stage] = totals.pop(stage, 0.0) + seconds
        return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in totals.items())

    def _tracked(self) -> str:
        """Where the runs are, and how to look at them."""
        if self._store is None:
            return "off (conf/*/tracking.yml)"
        database = self._store.database
        if database is None:
            return self._store.uri
        if database == self._project / "data" / "mlflow.db":
            return f"{self._short(database)} (make mlflow, then http://127.0.0.1:5000)"
        return f"{self._short(database)} (mlflow server --workers 1 --backend-store-uri {self._store.uri})"

    def _short(self, path: Path) -> Path:
        return path.relative_to(self._project) if path.is_relative_to(self._project) else path
