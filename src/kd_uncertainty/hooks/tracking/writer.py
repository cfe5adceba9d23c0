"""Batched writes to MLflow runs through a client, each with the run's id: no active run, no global state."""

from __future__ import annotations

import os
import socket
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import psutil

from kd_uncertainty.hooks.tracking.records import Point, Record

_METRICS_PER_REQUEST, _PARAMETERS_PER_REQUEST, _TAG_LENGTH = 1000, 100, 5000


class RunWriter:
    """Creates, fills and ends runs of one experiment."""

    def __init__(self, client: Any, experiment_id: str) -> None:
        self.client = client
        self.experiment_id = experiment_id

    def create(self, name: str, tags: Mapping[str, str], started: float) -> str:
        """Create a run that started at the given time (seconds) and return its id."""
        tags = {key: value[:_TAG_LENGTH] for key, value in tags.items()}
        run = self.client.create_run(self.experiment_id, int(started * 1000), tags, run_name=name)
        return str(run.info.run_id)

    def end(self, run_id: str, status: str, stopped: float | None = None) -> None:
        """End a run, now or at the given time (seconds)."""
        self.client.set_terminated(run_id, status, int((stopped or time.time()) * 1000))

    def close_abandoned(self) -> None:
        """End the parent runs, and their stages, that a killed process of this machine left running."""
        for parent in self._running(f"tags.process LIKE '{socket.gethostname()}:%'"):
            if not is_alive(parent.data.tags["process"]):
                for run in [*self._running(f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'"), parent]:
                    self.tag(run.info.run_id, {"stopped": "its process ended without a word"})
                    self.end(run.info.run_id, "KILLED")

    def _running(self, query: str) -> Any:
        query = f"attributes.status = 'RUNNING' AND {query}"
        return self.client.search_runs([self.experiment_id], query, max_results=200)

    def record(self, run_id: str, record: Record) -> None:
        """Log metrics, tables and files."""
        self.points(run_id, record.metrics)
        for path, table in record.tables.items():
            self.client.log_table(run_id, table.astype(object), path)  # MLflow and text columns of pandas 3: a warning
        if record.files:
            with tempfile.TemporaryDirectory() as folder:
                for path, text in record.files.items():
                    target = Path(folder) / path
                    target.parent.mkdir(parents=True, exist_ok=True)
                    target.write_text(text, encoding="utf-8")
                self.client.log_artifacts(run_id, folder)

    def points(self, run_id: str, points: Iterable[Point]) -> None:
        """Log metrics, a thousand a request."""
        from mlflow.entities import Metric

        now = time.time()
        metrics = [Metric(p.key, p.value, int((p.time or now) * 1000), p.step) for p in points]
        for start in range(0, len(metrics), _METRICS_PER_REQUEST):
            self.client.log_batch(run_id, metrics=metrics[start : start + _METRICS_PER_REQUEST])

    def parameters(self, run_id: str, parameters: Mapping[str, str]) -> None:
        """Log parameters, a hundred a request."""
        from mlflow.entities import Param

        entities = [Param(key, value) for key, value in parameters.items()]
        for start in range(0, len(entities), _PARAMETERS_PER_REQUEST):
            self.client.log_batch(run_id, params=entities[start : start + _PARAMETERS_PER_REQUEST])

    def tag(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags; a long value is cut."""
        from mlflow.entities import RunTag

        if tags:
            self.client.log_batch(run_id, tags=[RunTag(key, value[:_TAG_LENGTH]) for key, value in tags.items()])

    def read(self, run_id: str, datasets: Iterable[tuple[Mapping[str, str], str]]) -> None:
        """Log which data sets the run read, each with its context, in one request."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        entities = [
            DatasetInput(Dataset(**dataset), [InputTag("mlflow.data.context", context)])
            for dataset, context in datasets
        ]
        if entities:
            self.client.log_inputs(run_id, entities)


def this_process() -> str:
    """Which process of which machine this is, ``host:id@start``: enough to tell later that it is gone."""
    return f"{socket.gethostname()}:{os.getpid()}@{psutil.Process().create_time():.2f}"


def is_alive(process: str) -> bool:
    """Whether a process of this machine still runs; its start time tells it from a later one of the same id."""
    identity, _, started = process.rpartition(":")[2].partition("@")
    try:
        return f"{psutil.Process(int(identity)).create_time():.2f}" == started
    except (ValueError, psutil.NoSuchProcess):
        return False
