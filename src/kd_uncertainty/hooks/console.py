"""What the terminal shows when a run has ended: the short table, and where to look next."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline
from rich.console import Console

from kd_uncertainty.report.console import summary_table


class ConsoleHooks:
    """Print the headline of every study that the run reported on."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Any] = {}
        self._project = Path.cwd()

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Remember where the project is."""
        self._project = context.project_path

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the catalog's configuration, for the paths."""
        self._entries = conf_catalog or {}

    @hook_impl(trylast=True)
    def after_pipeline_run(self, pipeline: Pipeline, catalog: Any) -> None:
        """Print the table and the paths of the report, MLflow and Kedro-Viz."""
        studies = [
            name.removesuffix(".summary") for name in sorted(pipeline.all_outputs()) if name.endswith(".summary")
        ]
        console = Console()
        for study in studies:
            console.print()
            console.print(summary_table(catalog.load(f"{study}.summary")))
            report = Path(str(self._entries.get(f"{study}.report", {}).get("filepath", "")))
            console.print(f"report   {self._short(report)}", soft_wrap=True, highlight=False)
        if studies:
            console.print("MLflow   make mlflow, then http://127.0.0.1:5000", highlight=False)
            console.print("graph    make viz, then http://127.0.0.1:4141", highlight=False)

    def _short(self, path: Path) -> Path:
        return path.relative_to(self._project) if path.is_relative_to(self._project) else path
