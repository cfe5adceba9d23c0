"""Data-set lineage: what a stage read, as MLflow data-set entities with a digest and a place."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pandas as pd

_DIGEST_LENGTH = 16
_TYPES = {"i": "long", "u": "long", "f": "double", "b": "boolean", "M": "datetime"}


def source_dataset(name: str, table: pd.DataFrame, place: str) -> dict[str, str]:
    """Describe a table that was read: a digest of every cell, its columns and its size.

    MLflow's own digest stops at 10,000 rows, which would call two tables the same that are not.
    """
    columns = [
        {"name": str(column), "type": _TYPES.get(dtype.kind, "string"), "required": not table[column].hasnans}
        for column, dtype in table.dtypes.items()
    ]
    return {
        "name": name,
        "digest": table_digest(table),
        **_place(place),
        "schema": json.dumps({"mlflow_colspec": columns}),
        "profile": json.dumps({"num_rows": len(table), "num_elements": int(table.size)}),
    }


def artefact_dataset(name: str, place: str, fingerprint: str | None) -> dict[str, str]:
    """Describe an artefact of an earlier stage by its place and that stage's fingerprint, without reading it."""
    return {"name": name, "digest": (fingerprint or _hash(place.encode()))[:_DIGEST_LENGTH], **_place(place)}


def table_digest(table: pd.DataFrame) -> str:
    """Hash the cells, the index, the column names and their types; 16 hexadecimal digits."""
    try:
        rows = pd.util.hash_pandas_object(table)
    except TypeError:  # cells that are lists
        rows = pd.util.hash_pandas_object(table.astype(str))
    header = json.dumps([[str(column), str(dtype)] for column, dtype in table.dtypes.items()])
    return _hash(header.encode() + rows.to_numpy().tobytes())


def place_of(dataset: Any) -> str:
    """Where a catalog dataset lies: its file, else its type."""
    if dataset is None:
        return "memory"
    path = getattr(dataset, "_filepath", None)
    return str(path) if path else f"{type(dataset).__module__}.{type(dataset).__qualname__}"


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]


def _place(place: str) -> dict[str, str]:
    return {"source_type": "local", "source": json.dumps({"uri": place})}
