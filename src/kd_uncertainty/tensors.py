"""Nested dictionaries of tensors, arrays and JSON values as one flat safetensors file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

_SEPARATOR = "/"
_VALUES = "values"


def save_nested(nested: Mapping[str, Any], path: Path) -> None:
    """Write ``nested`` to ``path``: tensors and arrays as tensors, everything else as JSON in the file's metadata.

    Raises:
        ValueError: if a key holds the separator ``/``.
        TypeError: if a value is neither a tensor, an array nor JSON.
    """
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {}
    for key, value in _leaves(nested):
        if isinstance(value, Tensor):
            tensors[key] = value.detach().cpu().contiguous()
        elif isinstance(value, np.ndarray):
            tensors[key] = torch.from_numpy(np.ascontiguousarray(value))
            values[key] = "ndarray"
        else:
            values[f"={key}"] = value
    save_file(tensors, path, metadata={_VALUES: json.dumps(values)})


def load_nested(path: Path) -> dict[str, Any]:
    """Read what ``save_nested`` wrote; values keep their types."""
    nested: dict[str, Any] = {}
    with safe_open(path, framework="pt") as file:
        values = json.loads((file.metadata() or {}).get(_VALUES, "{}"))
        for key in file.keys():  # noqa: SIM118  (not a mapping)
            tensor = file.get_tensor(key)
            _put(nested, key, tensor.numpy() if values.get(key) == "ndarray" else tensor)
    for key, value in values.items():
        if key.startswith("="):
            _put(nested, key[1:], value)
    return nested


def _leaves(nested: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in nested.items():
        if _SEPARATOR in key:
            raise ValueError(f"key {key!r} holds {_SEPARATOR!r}, which separates levels")
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{key}{_SEPARATOR}")
        else:
            yield f"{prefix}{key}", value


def _put(nested: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(_SEPARATOR)
    for parent in parents:
        nested = nested.setdefault(parent, {})
    nested[last] = value
