"""The soft-label table as it is written: posterior logits, draws by classes, with metadata that explain them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError

FORMAT_VERSION = 1
METADATA_KEY = b"kd_uncertainty"
_LOGITS = pa.list_(pa.list_(pa.float32()))


def response_schema(metadata: Mapping[str, Any]) -> pa.Schema:
    """Columns of the file, with ``metadata`` as JSON under the key ``kd_uncertainty``."""
    columns = [("teacher", pa.string()), ("example_id", pa.int64()), ("logits", _LOGITS)]
    return pa.schema(columns, metadata={METADATA_KEY: json.dumps({"format_version": FORMAT_VERSION, **metadata})})


def response_table(teacher: str, example_ids: NDArray[np.int64], logits: torch.Tensor, schema: pa.Schema) -> pa.Table:
    """One batch of rows from logits ``(draws, examples, classes)``."""
    draws, examples, classes = logits.shape
    flat = pa.array(logits.transpose(0, 1).contiguous().cpu().numpy().ravel(), type=pa.float32())
    per_draw = pa.ListArray.from_arrays(_offsets(examples * draws, classes), flat)
    per_example = pa.ListArray.from_arrays(_offsets(examples, draws), per_draw)
    names = pa.array([teacher] * examples, type=pa.string())
    return pa.Table.from_arrays([names, pa.array(example_ids), per_example], schema=schema)


def _offsets(count: int, width: int) -> pa.Array:
    return pa.array(np.arange(count + 1, dtype=np.int64) * width, type=pa.int32())


def batches(example_ids: NDArray[np.int64], size: int) -> Iterator[slice]:
    """Slices of at most ``size`` examples that cover all of them in order."""
    return (slice(start, start + size) for start in range(0, len(example_ids), size))


def describe(teachers: Mapping[str, Mapping[str, Any]], seed: int, classes: Sequence[str]) -> dict[str, Any]:
    """The file's metadata: what the logits are, whose, and how they were drawn."""
    return {
        "content": "posterior logits, draws x classes, temperature-free (softmax gives probabilities)",
        "seed": seed,
        "classes": list(classes),
        "teachers": {name: dict(facts) for name, facts in teachers.items()},
    }


def described_in(schema: pa.Schema) -> dict[str, Any]:
    """What a table's metadata say under the key ``kd_uncertainty``; nothing if the key is not there.

    Raises:
        UserError: if that is no JSON object.
    """
    try:
        described = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}"))
    except ValueError:  # no JSON, or no text
        described = None
    if not isinstance(described, dict):
        raise UserError(
            f"soft labels: the metadata '{METADATA_KEY.decode()}' of the table are damaged: they are no JSON object; "
            "write the file again or remove them"
        )
    return described


def with_metadata(table: pa.Table, **facts: Any) -> pa.Table:
    """The table with more facts in its own metadata, beside what it says of itself already."""
    known = dict(table.schema.metadata or {})
    described = described_in(table.schema) | {name: fact for name, fact in facts.items() if fact}
    return table.replace_schema_metadata({**known, METADATA_KEY: json.dumps(described).encode()})
