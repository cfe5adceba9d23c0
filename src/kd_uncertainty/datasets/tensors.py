"""Nested tensors in one safetensors file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset

from kd_uncertainty.tensors import load_nested, save_nested


class NestedTensors(AbstractDataset[dict[str, Any], dict[str, Any]]):
    """A nested dictionary of tensors, arrays and JSON values; safetensors, so loading runs no code."""

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> dict[str, Any]:
        """Read the file."""
        return load_nested(self._filepath)

    def save(self, data: dict[str, Any]) -> None:
        """Write the file."""
        save_nested(data, self._filepath)

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
