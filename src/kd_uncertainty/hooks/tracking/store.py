"""The tracking store: where it is, whether it answers, and a client of it that cannot hold up a run.

MLflow retries an HTTP request for minutes and a database for more than three. Whoever waits for results should not,
so a store is first probed within a few seconds, and every later request has few retries as well.
"""

from __future__ import annotations

import logging
import os
import socket
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from kd_uncertainty.hooks.tracking.options import TrackingOptions
from kd_uncertainty.imports import lasting_imports

_SQLITE = "sqlite:///"
_DATABASE_PORTS = {"postgresql": 5432, "mysql": 3306, "mssql": 1433}
_CHATTY = ("alembic", "mlflow.store.db.utils", "mlflow.pytorch")


@dataclass(frozen=True)
class Store:
    """Address of a tracking store, and of its artefacts if the client rather than a server chooses that place."""

    uri: str
    artifacts: str | None

    @property
    def database(self) -> Path | None:
        """The file of an SQLite store."""
        return Path(self.uri.removeprefix(_SQLITE)) if self.uri.startswith(_SQLITE) else None


def resolve_store(options: TrackingOptions, project_path: Path) -> Store:
    """Find the store: ``options.uri``, else ``MLFLOW_TRACKING_URI``, else ``data/mlflow.db`` of the project.

    Relative SQLite files are relative to the project, not to the working directory. Artefacts of a database lie
    beside it (SQLite) or under the project's ``data`` folder; a server decides for itself.
    """
    project_path = project_path.resolve()
    uri = options.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"{_SQLITE}{project_path / 'data' / 'mlflow.db'}"
    if uri.startswith(_SQLITE):
        database = project_path / uri.removeprefix(_SQLITE)
        return Store(f"{_SQLITE}{database}", (database.parent / "mlartifacts").as_uri())
    if urlsplit(uri).scheme.split("+")[0] in _DATABASE_PORTS:
        return Store(uri, (project_path / "data" / "mlartifacts").as_uri())
    return Store(uri, None)


def open_store(store: Store, options: TrackingOptions) -> tuple[Any, str]:
    """Return an ``MlflowClient`` of the store and the id of the experiment, which is created if it is missing.

    Raises:
        Exception: whatever says that the store cannot be used, after about ``timeout_seconds``.
    """
    _probe(store, options.timeout_seconds)
    # MLflow reports its use to its makers unless told otherwise before the import; a run of ours never phones home.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    with quiet(), bounded_requests(retries=0, timeout=options.timeout_seconds), importing_mlflow():
        from mlflow.tracking import MlflowClient

        if store.database is not None and store.database.stat().st_size == 0:
            _create(store)
        client = MlflowClient(store.uri)
        experiment = client.get_experiment_by_name(options.experiment)
        if experiment is None:
            kind = {"mlflow.experimentKind": "custom_model_development"}  # opens the UI on training runs
            return client, client.create_experiment(options.experiment, store.artifacts, tags=kind)
        if experiment.lifecycle_stage == "deleted":
            client.restore_experiment(experiment.experiment_id)
        return client, experiment.experiment_id


def _create(store: Store) -> None:
    """Let MLflow make the tables of a new SQLite store without waiting for the disk at each of 250 transactions.

    There is nothing to lose yet; the first transaction of the run forces it all to disk.
    """
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    def unsynchronised(connection: sqlite3.Connection, _: Any) -> None:
        connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", unsynchronised)
    try:
        SqlAlchemyStore(store.uri, store.artifacts).engine.dispose()
    finally:
        event.remove(Engine, "connect", unsynchronised)


def _probe(store: Store, timeout: int) -> None:
    """Raise ``OSError`` or ``sqlite3.Error`` within ``timeout`` seconds if a database cannot be reached or written."""
    if store.database is not None:
        store.database.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(store.database, timeout=timeout, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
        return
    address = urlsplit(store.uri)
    port = address.port or _DATABASE_PORTS.get(address.scheme.split("+")[0])
    if address.hostname and port:
        socket.create_connection((address.hostname, port), timeout).close()


@contextmanager
def bounded_requests(retries: int = 2, timeout: int = 30) -> Iterator[None]:
    """Limit MLflow's HTTP retries and timeouts inside the block, as its environment variables can; then restore."""
    limits = {
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": str(retries),
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout),
        "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    }
    before = {name: os.environ.get(name) for name in limits}
    os.environ.update(limits)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def importing_mlflow() -> Iterator[None]:
    """Ignore the two warnings that MLflow's own classes cause while they are imported."""
    with lasting_imports(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*Any type hint is inferred as AnyType", category=UserWarning)
        warnings.filterwarnings("ignore", message="The ``noload`` loader strategy", category=DeprecationWarning)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Keep migration steps and advice of MLflow out of the run's log; errors still show."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
