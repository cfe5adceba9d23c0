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
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
from kedro.pipeline import Pipeline

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import ModelOptions, language_models
from kd_uncertainty.language.weights import model_token
from kd_uncertainty.networks import import_network
from kd_uncertainty.options import Parameters
from kd_uncertainty.tasks.bundled import bundled_version
from kd_uncertainty.typed import Options

EXECUTION = "params:execution"
MISSING = "missing"
"""Stands for the content of a file that is not there."""
_KNOWN_CODE = {"builtins", "kd_uncertainty", "torch", "typing"}

logger = logging.getLogger(__name__)


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
        pipeline: Pipeline = study_pipeline(study)
        self._nodes, self._datasets = pipeline.nodes, pipeline.datasets()
        self._versions = FORMAT_VERSIONS
        self._known: dict[str, str] = {}

    def concern(self, table: str) -> bool:
        """Whether the study has the table at all."""
        return f"{self._study}.{table}" in self._datasets

    def of(self, stage: str) -> str:
        """The stage's fingerprint."""
        if stage not in self._known:
            own = [node for node in self._nodes if node.namespace == f"{self._study}.{stage}"]
            inputs = {name for node in own for name in node.inputs} - {name for node in own for name in node.outputs}
            tokens = {name: self._token(name) for name in sorted(inputs) if name != EXECUTION}
            self._known[stage] = digest({"stage": stage, "format": self._versions[stage], "inputs": tokens})
        return self._known[stage]

    def _token(self, name: str) -> Any:
        if name.startswith("params:"):
            return self._section(name.removeprefix("params:"))
        table = name.removeprefix(f"{self._study}.")
        if table in self._own:
            return self._own_token(name, self._own[table])
        if table not in self._stages:
            raise UserError(f"catalog: the entry '{name}' is missing, which no stage writes; add it to a catalog file")
        return self.of(self._stages[table])

    def _own_token(self, name: str, entry: Mapping[str, Any]) -> Any:
        token = entry_token(entry, self._project)
        if token[1] is None and _maker(entry) is None:
            logger.warning(
                "catalog entry '%s' (%s) has no filepath, so a change of its data cannot be seen: after one, use plain "
                "`kedro run`, not --only-missing-outputs",
                name,
                entry.get("type"),
            )
        return token

    def _section(self, path: str) -> Any:
        section: Any = self._parameters
        for part in path.split("."):
            section = getattr(section, part)
        value = section.model_dump(mode="json", by_alias=True) if isinstance(section, Options) else section
        sources = {path: source_token(path) for path in sorted(class_paths(value))}
        models = language_models(section) if isinstance(section, Options) else []
        return [value, sources, *([[_weights(model) for model in models]] if models else [])]


def _weights(model: ModelOptions) -> list[str]:
    """What identifies a model's weights; a study whose models are not installed must not keep others from running."""
    try:
        return model_token(model)
    except UserError:
        return [MISSING]


def digest(value: Any) -> str:
    """Sixteen hexadecimal digits of a JSON value."""
    return hashlib.blake2b(json.dumps(value, sort_keys=True, default=str).encode(), digest_size=8).hexdigest()


def entry_token(entry: Mapping[str, Any], project: Path) -> list[Any]:
    """What a catalog entry's data depends on: its settings, its file's content, the package that makes its table."""
    settings = {key: value for key, value in entry.items() if key not in ("metadata", "validator")}
    filepath = settings.pop("filepath", None)
    content = None if filepath is None else content_token(str(filepath), project)
    return [settings, content, _maker(entry)]


def _maker(entry: Mapping[str, Any]) -> str | None:
    """What a table without a file comes from, bundled or drawn: a version or a digest; None for all other entries."""
    kind = str(entry.get("type", "")).rpartition(".")[-1]
    if kind == "BundledTable":
        return bundled_version(str(entry.get("name")))
    return np.__version__ if kind == "GaussianMixture" else None


def content_token(filepath: str, project: Path) -> str:
    """SHA-256 of a local file or of all files in a folder, a remote file's own key, or ``missing``.

    A folder stands for partitioned and for versioned data: whatever changes in it counts.
    """
    if "://" in filepath:
        filesystem, remote = fsspec.url_to_fs(filepath)
        return str(filesystem.ukey(remote)) if filesystem.exists(remote) else MISSING
    path = project / filepath
    if path.is_file():
        return sha256_of(path)
    files = [file for file in sorted(path.rglob("*")) if file.is_file()]
    return digest([[str(file.relative_to(path)), sha256_of(file)] for file in files]) if files else MISSING


def class_paths(value: Any) -> set[str]:
    """Import paths of the user's own network classes anywhere in a section."""
    if isinstance(value, Mapping):
        found = {str(inner) for key, inner in value.items() if key == "class" and inner}
        return found.union(*(class_paths(inner) for inner in value.values()))
    if isinstance(value, list | tuple):
        return set().union(*(class_paths(inner) for inner in value))
    return set()


def source_token(class_path: str) -> str | None:
    """Digest of the code that defines a network class; None for the project's own, which format versions cover.

    That is every Python file of the packages (or the modules, outside a package) in which the class and its base
    classes are defined, torch apart. Code that these import from elsewhere is not seen.
    """
    roots = {base.__module__.split(".")[0] for base in import_network(class_path).__mro__}
    files = sorted(file for root in roots - _KNOWN_CODE for file in _python_files(root))
    return digest([sha256_of(file) for file in files]) if files else None


def _python_files(root: str) -> list[Path]:
    found = importlib.util.find_spec(root)
    folders = [Path(folder) for folder in (found.submodule_search_locations or [])] if found else []
    if folders:
        return [file for folder in folders for file in sorted(folder.rglob("*.py"))]
    return [Path(found.origin)] if found and found.origin and Path(found.origin).is_file() else []
