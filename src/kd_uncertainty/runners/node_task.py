"""One node as a task of Ray: what happens in the worker, and the future that the run waits for."""

from __future__ import annotations

import os
from typing import Any

import torch
from kedro.framework import project
from kedro.framework.hooks.manager import _create_hook_manager, _register_hooks
from kedro.io import MemoryDataset
from kedro.runner.task import Task
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from kd_uncertainty.errors import user_error


def run_node(task: Task, package: str | None, threads: int, on_gpu: bool) -> dict[str, Any]:
    """Load a node's inputs, run it, save its outputs, and return those that are in no file.

    The project's own hooks hear of it here, in the worker; those of plugins, which follow a whole run, do not.

    Args:
        task: the node, the catalog and the run.
        package: the project's package.
        threads: of torch and of NumPy.
        on_gpu: whether the task occupies one; another task's may be seen but not used.

    Raises:
        Exception: the node's own; a ``UserError`` that Kedro wrapped comes as itself, for causes do not travel.
    """
    if not on_gpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
    torch.set_num_threads(threads)
    threadpool_limits(threads)
    if package and package != project.PACKAGE_NAME:
        project.configure_project(package)
    task.hook_manager = _create_hook_manager()
    _register_hooks(task.hook_manager, project.settings.HOOKS)
    try:
        task.execute()
    except Exception as error:
        told = user_error(error)
        if told is None:
            raise
        raise told from None
    return {name: task.catalog.load(name) for name in in_memory(task)}


def in_memory(task: Task) -> list[str]:
    """Names of the node's outputs that are in no file."""
    return [name for name in task.node.outputs if isinstance(task.catalog.get(name), MemoryDataset)]
