"""Sidecars of soft-label files, written in one pass and in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from kd_uncertainty.artefacts import atomic_write, remove_abandoned, sha256_of
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.columns import NAMELESS, teacher_names, value_column
from kd_uncertainty.soft_labels.description import describe_sidecar
from kd_uncertainty.soft_labels.values import check_unique, teacher_rows, whose

BATCH_BYTES = 1 << 20
"""Logits in memory at a time, as float32."""


def teachers_in(path: Path) -> dict[str, int]:
    """Rows of each teacher in a soft-label file, in the order in which they first appear.

    Raises:
        UserError: if the file is no Parquet file, or a teacher's name cannot be used.
    """
    file = _opened(path)
    if "teacher" not in file.schema_arrow.names:
        return {NAMELESS: file.metadata.num_rows}
    counts: dict[str, int] = {}
    for batch in file.iter_batches(columns=["teacher"]):
        names = teacher_names(pa.chunked_array([batch.column(0)]))
        for entry in pa.compute.value_counts(names).to_pylist():
            counts[entry["values"]] = counts.get(entry["values"], 0) + entry["counts"]
    return counts


def stream_rows(path: Path) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.float32]]]:
    """Teacher, identifiers and logits (examples, draws, classes) of a file's rows, about ``BATCH_BYTES`` at a time.

    Raises:
        UserError: if the soft labels cannot be used.
    """
    file = _opened(path)
    wanted = {"teacher", "example_id", value_column(file.schema_arrow.names)}
    columns = [name for name in file.schema_arrow.names if name in wanted]
    first = next(file.iter_batches(batch_size=1, columns=columns), None)
    if first is None:
        raise UserError(f"soft labels: {path} holds no rows")
    row_bytes = max(logits.nbytes for _, _, logits in teacher_rows(pa.Table.from_batches([first])))
    for batch in file.iter_batches(batch_size=max(1, BATCH_BYTES // row_bytes), columns=columns):
        yield from teacher_rows(pa.Table.from_batches([batch]))


def build(
    path: Path, content: str, precision: Literal["float16", "float32"], places: Callable[[str], tuple[Path, Path]]
) -> None:
    """Write the log-probabilities and the identifiers of every teacher in a file, whole or not at all.

    Two processes may build at once: each writes under a name of its own, and both write the same bytes.

    Args:
        path: the soft-label file.
        content: its SHA-256, which must not change meanwhile.
        precision: of the log-probabilities.
        places: the files for a teacher's log-probabilities and identifiers.

    Raises:
        UserError: if the soft labels cannot be used, or the file changes.
    """
    counts = teachers_in(path)
    with ExitStack() as stack:
        open_files: dict[str, _TeacherFile] = {}
        for teacher, example_ids, logits in stream_rows(path):
            if teacher not in open_files:
                values = places(teacher)[0]
                remove_abandoned(values.parent)
                file = stack.enter_context(open(stack.enter_context(atomic_write(values)), "wb"))
                open_files[teacher] = _TeacherFile(teacher, file, (counts[teacher], *logits.shape[1:]), precision)
            open_files[teacher].append(example_ids, logits)
        if sha256_of(path) != content:
            raise UserError(f"soft labels: {path} was changed while its sidecar was built; run again")
        for teacher, written in open_files.items():
            check_unique(written.example_ids, whose(teacher))
            with atomic_write(places(teacher)[1]) as temporary, open(temporary, "wb") as file:
                np.save(file, written.example_ids, allow_pickle=False)
    for teacher in open_files:
        describe_sidecar(content, teacher, *places(teacher))


class _TeacherFile:
    """An array file that grows row by row below its header, and the identifiers of its rows."""

    def __init__(self, teacher: str, file: IO[bytes], shape: tuple[int, ...], precision: str) -> None:
        self.example_ids = np.empty(shape[0], np.int64)
        self._teacher, self._file, self._shape, self._rows = teacher, file, shape, 0
        self._dtype = getattr(torch, precision)
        described = {"descr": np.lib.format.dtype_to_descr(np.dtype(precision)), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, described)

    def append(self, example_ids: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
        """Write rows of logits as log-probabilities."""
        if logits.shape[1:] != self._shape[1:]:
            raise UserError(
                f"{whose(self._teacher)}: the lists differ in length; every example needs the same draws x classes"
            )
        values = torch.log_softmax(torch.tensor(logits), dim=-1)  # a copy: Arrow's memory is read-only
        values = values.clamp_(min=torch.finfo(self._dtype).min).to(self._dtype)
        self._file.write(values.numpy().data)
        self.example_ids[self._rows : self._rows + len(example_ids)] = example_ids
        self._rows += len(example_ids)


def _opened(path: Path) -> pq.ParquetFile:
    if not path.is_file():
        raise UserError(f"soft labels: {path} does not exist; correct the path")
    try:
        # Pages are read as they are needed: a file of one large row group takes no more memory than one of many.
        return pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False)
    except pa.ArrowInvalid as error:
        raise UserError(f"soft labels: {path} is no Parquet file ({error})") from error
