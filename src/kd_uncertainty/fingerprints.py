"""Fingerprints: what a stage's results depend on, in sixteen hexadecimal digits.

A stage depends on its format version, on the parameter sections that its nodes take, and on the tables that they
read: another stage's table stands for that stage's fingerprint, a user's own file for its content. All of this is read
off the pipelines themselves, so it cannot drift from what they do. ``params:execution`` changes no result and is left
out.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import fsspec
import sklearn
from kedro.pipeline import Pipeline

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.options import Parameters
from kd_uncertainty.typed import Options

EXECUTION = "params:execution"


class StageFingerprints:
    """Fingerprints of one study's stages.

    Args:
        study: the study's name, which is its namespace.
        parameters: all validated parameters.
        stages: for each table that the project writes, the stage that writes it.
        own: catalog entries that the user (or the base catalog) names in full, by table: these stand for their content.
        project: the folder that relative paths start from.
    """

    def __init__(
        self,
        study: str,
        parameters: Parameters,
        stages: Mapping[str, str],
        own: Mapping[str, Mapping[str, Any]],
        project: Path,
    ) -> None:
        from kd_uncertainty.pipelines import FORMAT_VERSIONS, study_pipeline

        self._study, self._parameters, self._stages, self._own = study, parameters, stages, own
        self._project = project
        self._pipeline: Pipeline = study_pipeline(study)
        self._versions = FORMAT_VERSIONS
        self._known: dict[str, str] = {}

    def of(self, stage: str) -> str:
        """The stage's fingerprint."""
        if stage not in self._known:
            inputs = self._pipeline.filter(node_namespaces=[f"{self._study}.{stage}"]).inputs()
            tokens = {name: self._token(name) for name in sorted(inputs) if name != EXECUTION}
            self._known[stage] = digest({"stage": stage, "format": self._versions[stage], "inputs": tokens})
        return self._known[stage]

    def _token(self, name: str) -> Any:
        if name.startswith("params:"):
            return self._section(name.removeprefix("params:"))
        table = name.removeprefix(f"{self._study}.")
        if table in self._own:
            return entry_token(self._own[table], self._project)
        return self.of(self._stages[table])

    def _section(self, path: str) -> Any:
        section: Any = self._parameters
        for part in path.split("."):
            section = getattr(section, part)
        value = section.model_dump(mode="json", by_alias=True) if isinstance(section, Options) else section
        return [value, {path: source_token(path) for path in sorted(class_paths(value))}]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of a JSON value."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def entry_token(entry: Mapping[str, Any], project: Path) -> list[Any]:
    """What a catalog entry's data depends on: its settings, the content of its file, the package of a bundled table."""
    settings = {key: value for key, value in entry.items() if key not in ("metadata", "validator")}
    filepath = settings.pop("filepath", None)
    content = None if filepath is None else content_token(str(filepath), project)
    return [settings, content, sklearn.__version__ if str(entry.get("type", "")).endswith("BundledTable") else None]


def content_token(filepath: str, project: Path) -> str:
    """SHA-256 of a local file, what the file system offers for a remote one, or ``missing``."""
    path = project / filepath
    if path.is_file():
        return sha256_of(path)
    if "://" in filepath:
        filesystem, remote = fsspec.url_to_fs(filepath)
        return str(filesystem.ukey(remote)) if filesystem.exists(remote) else "missing"
    return "missing"


def class_paths(value: Any) -> set[str]:
    """Import paths of the user's own network classes anywhere in a section."""
    if isinstance(value, Mapping):
        found = {str(inner) for key, inner in value.items() if key == "class" and inner}
        return found.union(*(class_paths(inner) for inner in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(class_paths(inner) for inner in value))
    return set()


@cache
def source_token(class_path: str) -> str | None:
    """SHA-256 of the file that defines a network class; None for the project's own, which format versions cover."""
    module = class_path.rpartition(".")[0]
    if module.split(".")[0] == "kd_uncertainty":
        return None
    found = importlib.util.find_spec(module)
    return sha256_of(Path(found.origin)) if found and found.origin and Path(found.origin).is_file() else None
