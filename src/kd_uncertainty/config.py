"""The project's configuration loader: parameters are checked, artefact paths carry fingerprints.

Two things happen here, for every command that reads the configuration (``kedro run``, ``kedro viz``, notebooks):

1. ``parameters`` are validated as a whole, top-level keys too; Kedro itself would ignore a mistyped one.
2. catalog entries named ``"{study}.<table>"`` are written out for every study, and ``{fingerprint}`` in their paths
   becomes the fingerprint of the stage in their ``metadata.stage``. An entry that the user names in full wins.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

from kedro.config import OmegaConfigLoader
from kedro.utils import find_kedro_project
from omegaconf import OmegaConf
from pydantic import ValidationError

from kd_uncertainty.errors import UserError
from kd_uncertainty.fingerprints import StageFingerprints
from kd_uncertainty.options import Parameters, Study

STUDY_PREFIX = "{study}."


class StudyConfigLoader(OmegaConfigLoader):
    """An ``OmegaConfigLoader`` that validates parameters and fingerprints the catalog."""

    def __getitem__(self, key: str) -> dict[str, Any]:
        """Load one kind of configuration; ``parameters`` and ``catalog`` are treated as the module says."""
        if key in self:  # set by hand, which Kedro allows: leave it as it is
            by_hand: dict[str, Any] = super().__getitem__(key)
            return by_hand
        if key == "parameters":  # asked for several times a run, and slow to read: OmegaConf wraps every value
            return deepcopy(self._parameters)
        loaded: dict[str, Any] = super().__getitem__(key)
        if key == "globals":
            validate_globals(loaded)
        if key == "catalog":
            return expand_catalog(loaded, validate_parameters(self["parameters"]), self._project())
        return loaded

    @cached_property
    def _parameters(self) -> dict[str, Any]:
        """All parameters, read and checked once."""
        loaded = self._with_own_arguments(super().__getitem__("parameters"))
        validate_parameters(loaded)
        return loaded

    def _project(self) -> Path:
        """The project that the configuration belongs to, which relative paths start from; Kedro does not tell us."""
        found = find_kedro_project(Path(self.conf_source)) or find_kedro_project(Path.cwd())
        return Path(found or Path.cwd())

    def _with_own_arguments(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Let a network class that an environment or ``--params`` names start from no arguments.

        Merging would hand it those of the network that it replaces.
        """
        _, environment, *_ = self._read_raw_config("parameters")
        own = OmegaConf.to_container(OmegaConf.unsafe_merge(*environment.values(), self.runtime_params or {}))
        replaced: dict[str, Any] = _replace_arguments(parameters, own)
        return replaced


def _replace_arguments(merged: Any, own: Any) -> Any:
    if not (isinstance(merged, dict) and isinstance(own, dict)):
        return merged
    replaced = {key: _replace_arguments(value, own.get(key)) for key, value in merged.items()}
    if isinstance(own.get("class"), str):
        replaced["arguments"] = own.get("arguments") or {}
    return replaced


def studies(parameters: Parameters) -> dict[str, Study]:
    """The studies' options by name."""
    sections = {name: getattr(parameters, name) for name in type(parameters).model_fields}
    return {name: section for name, section in sections.items() if isinstance(section, Study)}


def validate_parameters(raw: Mapping[str, Any]) -> Parameters:
    """Check all parameters at once.

    Raises:
        UserError: with one line for each thing that is wrong: where it is, what was given, what is needed.
    """
    try:
        return Parameters.model_validate(dict(raw))
    except ValidationError as error:
        lines = dict.fromkeys(_complaint(problem) for problem in _causes(error.errors(include_url=False)))
        raise UserError("parameters (conf/*/parameters, --params): " + "; ".join(lines)) from error


def validate_globals(raw: Mapping[str, Any]) -> None:
    """Check the one global that the project reads.

    Raises:
        UserError: if ``data`` is not the path of a folder.
    """
    data = raw.get("data", "data")
    if not isinstance(data, str) or not data.strip():
        raise UserError(f"globals (conf/*/globals.yml): 'data' must be the path of a folder (given: {data!r})")


def _causes(problems: list[Any]) -> list[Any]:
    """Leave out that a list is too short where that only follows from a mistake in one of its items."""
    places = [problem["loc"] for problem in problems]
    return [
        problem
        for problem in problems
        if problem["type"] != "too_short"
        or not any(place[: len(problem["loc"])] == problem["loc"] != place for place in places)
    ]


def _complaint(problem: Any) -> str:
    # pydantic adds the member of a union that it tried, which is no part of the place
    where = ".".join(
        str(part) for part in problem["loc"] if not re.search(r"constrained-|literal\[|^int$|^str$", str(part))
    )
    if problem["type"] == "extra_forbidden":
        return f"'{where}' is not a known parameter{_suggestion(problem['loc'])}"
    if problem["type"] == "missing":
        return f"'{where}' is missing"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], dict | list | tuple) else f" (given: {problem['input']!r})"
    return f"'{where}': {message[0].lower()}{message[1:]}{given}"


def _suggestion(location: tuple[Any, ...]) -> str:
    """The known neighbours of a key that is not known, nearest first."""
    model: Any = Parameters
    for part in location[:-1]:
        field = getattr(model, "model_fields", {}).get(part)
        model = getattr(field, "annotation", None)
    known = list(getattr(model, "model_fields", {}))
    close = get_close_matches(str(location[-1]), known, n=1)
    if close:
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if known else "; remove it"


def expand_catalog(catalog: Mapping[str, Any], parameters: Parameters, project: Path) -> dict[str, Any]:
    """Write the ``"{study}.<table>"`` entries out for every study that has the table, with fingerprints in their paths.

    Args:
        catalog: as configured.
        parameters: all of them, validated.
        project: the folder that relative paths start from.
    """
    ours = {name: entry for name, entry in catalog.items() if name.startswith(STUDY_PREFIX) and _stage(entry)}
    patterns = {name.removeprefix(STUDY_PREFIX): entry for name, entry in ours.items()}
    expanded = {name: entry for name, entry in catalog.items() if name not in ours}
    for study in studies(parameters):
        stages = {table: _stage(entry) for table, entry in patterns.items()}
        own = {name.removeprefix(f"{study}."): entry for name, entry in catalog.items() if name.startswith(f"{study}.")}
        fingerprints = StageFingerprints(study, parameters, stages, own, project)
        for table, entry in patterns.items():
            if table not in own and fingerprints.concern(table):
                expanded[f"{study}.{table}"] = _fill(entry, study, fingerprints)
    return expanded


def _stage(entry: Any) -> str:
    """The stage that writes an entry, or nothing for an entry that no stage writes."""
    return str(((entry if isinstance(entry, dict) else {}).get("metadata") or {}).get("stage", ""))


def _fill(entry: Any, study: str, fingerprints: StageFingerprints) -> Any:
    fingerprint = fingerprints.of(_stage(entry))
    filled = _replace(entry, {"{study}": study, "{fingerprint}": fingerprint})
    filled["metadata"] = {**filled["metadata"], "study": study, "fingerprint": fingerprint}
    return filled


def _replace(value: Any, words: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for word, replacement in words.items():
            value = value.replace(word, replacement)
        return value
    if isinstance(value, dict):
        return {key: _replace(inner, words) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replace(inner, words) for inner in value]
    return value
