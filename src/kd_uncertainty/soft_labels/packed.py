"""Soft-label tables in the packed encoding: a fixed-size binary cell a row, and metadata that say how to decode it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.cells import describe_packing, pack
from kd_uncertainty.soft_labels.columns import PACKED
from kd_uncertainty.soft_labels.table import with_metadata
from kd_uncertainty.soft_labels.values import teacher_rows, whose


def pack_tables(tables: Iterable[pa.Table], draws: int) -> Iterator[pa.Table]:
    """The same tables with packed ``log_probabilities`` in place of their lists of ``logits`` or ``probabilities``.

    Args:
        tables: soft-label tables with ``example_id``, values as lists and (perhaps) ``teacher``, one teacher or many.
        draws: vectors in a cell, the most draws of any teacher in any table; cells of fewer draws are filled up with
            vectors whose scale is NaN.

    Raises:
        UserError: if a table cannot be read as soft labels, or has more draws.
    """
    for table in tables:
        pieces = []
        for teacher, example_ids, logits in teacher_rows(table):
            if logits.shape[1] > draws:
                raise UserError(
                    f"{whose(teacher)}: {logits.shape[1]} draws do not fit into packed cells of "
                    f"{draws}; ask for wider ones"
                )
            names = pa.array([teacher] * len(example_ids), pa.string())
            pieces.append(pa.table({"teacher": names, "example_id": example_ids, PACKED: pack(logits, draws)}))
        packed = pa.concat_tables(pieces).replace_schema_metadata(table.schema.metadata)
        yield with_metadata(packed, packing=describe_packing(draws, logits.shape[2]))
