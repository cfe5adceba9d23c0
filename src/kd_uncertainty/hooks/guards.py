"""What must be true before the first node runs: nothing of the user's is overwritten, and there is room to write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kedro.framework.hooks import hook_impl
from kedro.pipeline import Pipeline

from kd_uncertainty.errors import UserError


class GuardHooks:
    """Refuse a run that could only end badly, before it has written anything."""

    def __init__(self) -> None:
        self._entries: Mapping[str, Any] = {}

    @hook_impl
    def after_catalog_created(self, conf_catalog: dict[str, Any]) -> None:
        """Remember the catalog's configuration."""
        self._entries = conf_catalog or {}

    @hook_impl
    def before_pipeline_run(self, pipeline: Pipeline) -> None:
        """Check every output of the run.

        Raises:
            UserError: if an output is a file of the user's own, or its folder cannot be written.
        """
        for name in sorted(pipeline.all_outputs()):
            entry = self._entries.get(name)
            if entry is None:
                continue
            if "fingerprint" not in (entry.get("metadata") or {}):
                raise UserError(_overwritten(name, entry, pipeline))
            if "filepath" in entry:
                require_writable(Path(entry["filepath"]))


def _overwritten(name: str, entry: Mapping[str, Any], pipeline: Pipeline) -> str:
    study, _, table = name.partition(".")
    mend = (
        f"leave the teachers out: kedro run --pipelines {study}_from_responses"
        if table == "responses"
        else f"start after it: kedro run --from-inputs {name}"
    )
    return f"catalog entry '{name}' is your own ({entry.get('filepath', entry.get('type'))}) and this run would overwrite it; {mend}"


def require_writable(path: Path) -> None:
    """Check that a file could be made at ``path``, without making anything.

    Raises:
        UserError: if the nearest existing folder is not a folder or may not be written.
    """
    existing = next(parent for parent in path.absolute().parents if parent.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(
            f"data folder '{existing}' cannot be written (needed for {path.name}); make it a writable folder, or set "
            "another one as `data` in conf/local/globals.yml"
        )
