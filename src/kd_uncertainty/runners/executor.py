"""An executor, as Kedro's runners take one, whose work is done by a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from typing import Any

from kedro.framework import project
from kedro.pipeline.node import Node
from kedro.runner.task import Task

from kd_uncertainty.cluster.connection import TRIES, cancel, import_ray
from kd_uncertainty.cluster.failures import translated
from kd_uncertainty.cluster.options import Resources
from kd_uncertainty.runners.node_task import run_node


class RayExecutor(Executor):
    """Runs nodes in the workers of the connected cluster.

    Args:
        needs: what each node occupies, by its name.
    """

    def __init__(self, needs: Mapping[str, Resources]) -> None:
        self._needs = needs
        self._running: dict[Future[Any], Any] = {}

    def submit(self, task: Task, /, *args: Any, **kwargs: Any) -> Future[Node]:  # type: ignore[override]
        """Run a node somewhere; the future gives the node when its outputs are saved."""
        needed = self._needs[task.node.name]
        remote = (
            import_ray()
            .remote(run_node)
            .options(
                num_cpus=needed.cpus,
                num_gpus=needed.gpus or None,
                max_retries=TRIES - 1,  # if the worker is killed; a node's exception is raised at once
                name=task.node.name,
            )
        )
        sent = Task(task.node, task.catalog, task.is_async, run_id=task.run_id)  # hook managers do not travel
        reference = remote.remote(sent, project.PACKAGE_NAME, needed.cpus, needed.gpus > 0)
        future: Future[Node] = Future()
        self._running[future] = reference
        reference.future().add_done_callback(self._finish(future, task))
        return future

    def _finish(self, future: Future[Node], task: Task) -> Callable[[Future[dict[str, Any]]], None]:
        def finish(done: Future[dict[str, Any]]) -> None:
            self._running.pop(future, None)
            try:
                for name, data in done.result().items():
                    task.catalog.save(name, data)
            except BaseException as error:
                future.set_exception(
                    translated(error, f"ran node '{task.node.name}'", "execution.workers or execution.chunk_size")
                )
            else:
                future.set_result(task.node)

        return finish

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End what still runs, after a failure: files appear whole or not at all, so nothing is left half done."""
        cancel(list(self._running.values()))
