"""Nodes of a pipeline as tasks of a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.runner import AbstractRunner
from pluggy import PluginManager

from kd_uncertainty.cluster.connection import connect, machines, require
from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.errors import UserError
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.runners.executor import RayExecutor
from kd_uncertainty.runners.needs import needs

_EXECUTION = "params:execution"


class RayRunner(AbstractRunner):
    """Run the nodes of a pipeline as tasks of a Ray cluster: ``kedro run --runner kd_uncertainty.runners.RayRunner``.

    Nodes that do not need one another run at once, each where the cores and GPUs are free that it occupies
    (:func:`~kd_uncertainty.runners.needs.needs`). A node whose worker process is killed is run again, up to four times
    in all. Workers read and write the catalog's files themselves, so on several machines the data folder must be one
    that all of them see; outputs that are in no file travel through this process. The results are those of Kedro's
    ``SequentialRunner``, bit for bit, on machines with the same processors.

    Args:
        is_async: as of Kedro's runners.
        address: the cluster's ``host:port``; ``execution.cluster`` if left out.
    """

    def __init__(self, is_async: bool = False, address: str | None = None) -> None:
        super().__init__(is_async=is_async)
        self._address = address
        self._needs: dict[str, Resources] = {}

    def _run(
        self,
        pipeline: Pipeline,
        catalog: CatalogProtocol[str, Any],
        hook_manager: PluginManager | None = None,
        run_id: str | None = None,
    ) -> None:
        execution = _execution(catalog)
        connect(self._address or execution.cluster)
        largest = max(machines(), key=lambda machine: (machine.gpus, machine.cpus), default=Resources())
        self._needs = {
            node.name: needs(node.tags, _EXECUTION in node.inputs, execution, largest) for node in pipeline.nodes
        }
        for name, needed in self._needs.items():
            require(needed, f"node '{name}'", "what its tags ask for, execution.resources or execution.device")
        for name in sorted(pipeline.datasets()):
            _require_to_travel(name, catalog)
        super()._run(pipeline, catalog, hook_manager, run_id)

    def _get_executor(self, max_workers: int) -> RayExecutor:
        return RayExecutor(self._needs)


def _execution(catalog: CatalogProtocol[str, Any]) -> ExecutionOptions:
    """How to execute, as configured; the defaults where the catalog has no parameters at all."""
    if "parameters" not in catalog:
        return ExecutionOptions()
    section: Any = catalog.load("parameters").get("execution", {})
    return section if isinstance(section, ExecutionOptions) else ExecutionOptions.model_validate(_plain(section))


def _plain(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value.model_dump() if hasattr(value, "model_dump") else value for key, value in section.items()}


def _require_to_travel(name: str, catalog: CatalogProtocol[str, Any]) -> None:
    dataset = catalog.get(name)
    if getattr(dataset, "_SINGLE_PROCESS", False):
        raise UserError(
            f"catalog entry '{name}' ({type(dataset).__name__}) keeps its data in one process, so RayRunner cannot use "
            "it; name the dataset that it wraps, or use the SequentialRunner"
        )
