"""Which stages a run asked for, and which of their nodes have run: bookkeeping without MLflow."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

from kedro.io import CatalogProtocol
from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

Catalog = CatalogProtocol[str, Any]


@dataclass
class Stage:
    """One stage of one study: the requested nodes whose namespace starts with ``<study>.<stage>``."""

    study: str
    name: str
    nodes: list[Node] = field(default_factory=list)
    intervals: list[tuple[float, float]] = field(default_factory=list)
    running: dict[str, float] = field(default_factory=dict)
    finished: set[str] = field(default_factory=set)
    error: BaseException | None = None
    recorded: bool = False
    _saved: dict[str, set[str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """``<study>.<stage>``."""
        return f"{self.study}.{self.name}"

    @property
    def started(self) -> bool:
        """Whether any node began."""
        return bool(self.running or self.finished)

    @property
    def complete(self) -> bool:
        """Whether every requested node has run and saved its outputs."""
        return len(self.finished) == len(self.nodes)

    @property
    def seconds(self) -> float:
        """Time spent inside the nodes, loading and saving included."""
        return sum(stop - start for start, stop in self.intervals)

    @property
    def parameters(self) -> list[str]:
        """Names of the parameter sections that the nodes take."""
        names = {name for node in self.nodes for name in node.inputs if name.startswith("params:")}
        return sorted(names)

    @property
    def outputs(self) -> list[str]:
        """Names of the datasets that the nodes write, in the order of the nodes."""
        return list(dict.fromkeys(name for node in self.nodes for name in node.outputs))

    @property
    def inputs(self) -> list[str]:
        """Names of the datasets that come from outside the stage."""
        own = set(self.outputs)
        names = dict.fromkeys(name for node in self.nodes for name in node.inputs)
        return [n for n in names if n not in own and n != "parameters" and not n.startswith("params:")]

    def begin(self, node: Node) -> None:
        """Note that the node loads its first input or, without inputs, runs."""
        if node.name not in self.finished:
            self.running.setdefault(node.name, time.time())

    def save(self, node: Node, dataset: str) -> None:
        """Note that the node saved the dataset; it has run when all its outputs are saved."""
        saved = self._saved.setdefault(node.name, set())
        saved.add(dataset)
        if saved.issuperset(node.outputs):
            self.end(node)

    def end(self, node: Node) -> None:
        """Note that the node has run."""
        now = time.time()
        self.intervals.append((self.running.pop(node.name, now), now))
        self.finished.add(node.name)


def stages_of(pipeline: Pipeline) -> dict[str, Stage]:
    """Group the nodes of a pipeline by stage, in running order; nodes outside a stage are left out."""
    stages: dict[str, Stage] = {}
    for node in pipeline.nodes:
        key = stage_key(node)
        if key is not None:
            study, name = key.split(".")
            stages.setdefault(key, Stage(study, name)).nodes.append(node)
    return stages


def stage_key(node: Node) -> str | None:
    """``<study>.<stage>`` of a node, from the first two parts of its namespace; None outside a stage."""
    parts = (node.namespace or "").split(".")
    return ".".join(parts[:2]) if len(parts) >= 2 else None
