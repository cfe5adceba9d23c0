"""Packed cells: the vectors of one example's draws, one after another, as a fixed-size binary value."""

from __future__ import annotations

import math
from typing import Any, TypeGuard

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.columns import PACKED
from kd_uncertainty.soft_labels.packing import CLIPPED_CODE, DEPTH, FLOOR, decode, encode, vector_dtype
from kd_uncertainty.soft_labels.table import described_in

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
    dtype, draws, floor = _layout(table.schema)
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
        logits[start : start + len(chunk)] = decode(cells[:, :present], floor)
        start += len(chunk)
    return logits


def _is_count(number: object) -> TypeGuard[int]:
    return isinstance(number, int) and not isinstance(number, bool) and number > 0


def _layout(schema: pa.Schema) -> tuple[np.dtype[Any], int, float]:
    """Type of a vector, vectors in a cell and the floor, from the metadata, which the column's width must confirm."""
    described = described_in(schema).get("packing")
    if described is None:
        raise UserError(
            f"soft labels: column '{PACKED}' is packed, but nothing says how: its file needs the metadata that "
            "kd_uncertainty.soft_labels.pack_tables writes, and a type that keeps them, such as "
            "kd_uncertainty.datasets.SoftLabelTable (pandas drops them)"
        )
    if not isinstance(described, dict):
        raise UserError(
            f"soft labels: the metadata of column '{PACKED}' are damaged: 'packing' is no JSON object; pack the file "
            "again"
        )
    if described.get("version") != VERSION:
        raise UserError(
            f"soft labels: column '{PACKED}' is packed in version {described.get('version')}, but only version "
            f"{VERSION} is known"
        )
    draws, classes = described.get("draws"), described.get("classes")
    if not (_is_count(draws) and _is_count(classes)):
        raise UserError(
            f"soft labels: the metadata of column '{PACKED}' lack its whole numbers of draws and classes, each 1 or "
            "more; pack the file again"
        )
    kind, width = schema.field(PACKED).type, draws * (4 + 2 * classes)
    if not pa.types.is_fixed_size_binary(kind) or kind.byte_width != width:
        raise UserError(
            f"soft labels: column '{PACKED}' is of type {kind}, but its metadata speak of {width} bytes a row "
            f"({draws} draws x (4 + 2 x {classes} classes))"
        )
    floor = described.get("floor")
    if not (isinstance(floor, int | float) and math.isfinite(floor) and floor <= -DEPTH):
        raise UserError(
            f"soft labels: the metadata of column '{PACKED}' lack its floor, a number of {-DEPTH:g} or less; "
            "pack the file again"
        )
    return vector_dtype(classes), draws, floor
