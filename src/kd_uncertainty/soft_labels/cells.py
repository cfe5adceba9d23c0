"""Packed cells: the vectors of one example's draws, one after another, as a fixed-size binary value."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.columns import PACKED
from kd_uncertainty.soft_labels.packing import CLIPPED_CODE, FLOOR, decode, encode, vector_dtype
from kd_uncertainty.soft_labels.table import METADATA_KEY

VERSION = 1
"""Of the packed encoding; raise when cells of this version can no longer be decoded as the metadata say."""


def pack(logits: NDArray[np.float32], draws: int) -> pa.FixedSizeBinaryArray:
    """Cells of ``draws`` vectors from logits (examples, at most ``draws``, classes)."""
    examples, given, classes = logits.shape
    cells = np.zeros((examples, draws), vector_dtype(classes))
    cells["scale"] = np.nan
    cells[:, :given] = encode(logits)
    width = draws * cells.dtype.itemsize
    return pa.FixedSizeBinaryArray.from_buffers(pa.binary(width), examples, [None, pa.py_buffer(cells)])


def describe_packing(draws: int, classes: int) -> dict[str, Any]:
    """What the file's metadata say of its cells, enough to decode them."""
    return {
        "version": VERSION,
        "draws": draws,
        "classes": classes,
        "vector": "float32 scale, then a uint16 code a class; little-endian; a cell is its draws one after another",
        "log_probability": "-(scale x code)^2, relative to that of the most probable class (softmax gives "
        f"probabilities); floor where code is {CLIPPED_CODE}; no such draw where scale is NaN",
        "floor": FLOOR,
    }


def unpack(table: pa.Table, where: str) -> NDArray[np.float32]:
    """Logits (examples, draws, classes) of the rows of one teacher; draws that are not there are left out.

    Raises:
        UserError: if the metadata are missing or do not fit the cells, or the rows differ in their draws.
    """
    column = table.column(PACKED)
    dtype, draws = _layout(table.schema)
    if column.null_count:
        empty = "1 cell" if column.null_count == 1 else f"{column.null_count} cells"
        raise UserError(f"{where}: {empty} of column '{PACKED}' without a value; every row needs one")
    present: int | None = None
    logits = np.empty((0, 0, 0), np.float32)
    start = 0
    for chunk in column.chunks:
        cells = np.frombuffer(chunk.buffers()[1], dtype, len(chunk) * draws, chunk.offset * column.type.byte_width)
        cells = cells.reshape(len(chunk), draws)
        there = ~np.isnan(cells["scale"])
        if present is None:
            present = int(there[0].sum())
            logits = np.empty((len(column), present, dtype["codes"].shape[0]), np.float32)
        if not there[:, :present].all() or there[:, present:].any() or not present:
            raise UserError(f"{where}: packed rows differ in their number of draws")
        logits[start : start + len(chunk)] = decode(cells[:, :present])
        start += len(chunk)
    return logits


def _layout(schema: pa.Schema) -> tuple[np.dtype[Any], int]:
    """Type of a vector and vectors in a cell, from the metadata, which the column's width must confirm."""
    described = json.loads((schema.metadata or {}).get(METADATA_KEY, b"{}")).get("packing")
    if described is None:
        raise UserError(
            f"soft labels: column '{PACKED}' is packed, but nothing says how: its file needs the metadata that "
            "kd_uncertainty.soft_labels.pack_tables writes, and a type that keeps them, such as "
            "kd_uncertainty.datasets.SoftLabelTable (pandas drops them)"
        )
    if described.get("version") != VERSION:
        raise UserError(
            f"soft labels: column '{PACKED}' is packed in version {described.get('version')}, but only version "
            f"{VERSION} is known"
        )
    draws, classes = described.get("draws"), described.get("classes")
    if not (isinstance(draws, int) and isinstance(classes, int)):
        raise UserError(f"soft labels: the metadata of column '{PACKED}' lack its whole numbers of draws and classes")
    dtype, kind = vector_dtype(classes), schema.field(PACKED).type
    width = draws * dtype.itemsize
    if not pa.types.is_fixed_size_binary(kind) or kind.byte_width != width:
        raise UserError(
            f"soft labels: column '{PACKED}' is of type {kind}, but its metadata speak of {width} bytes a row "
            f"({draws} draws x (4 + 2 x {classes} classes))"
        )
    return dtype, draws
