"""Memory-mapped rows of a soft-label file: a cache beside it, from which minibatches are read at random.

A Parquet file is compressed or encoded page by page, so a random row costs a page. The cache holds each teacher's
log-probabilities as a plain NumPy array, rows in the file's order:

    responses.parquet.rows/<16 digits of the file's SHA-256>-v1/<teacher>.float16.npy      (examples, draws, classes)
    responses.parquet.rows/<16 digits of the file's SHA-256>-v1/<teacher>.example_id.npy   (examples,)
    responses.parquet.rows/<16 digits of the file's SHA-256>-v1/<teacher>.float16.json     whose they are, SHA-256

float16 by default: half the bytes to gather, and one instruction turns eight into float32, so that rows are ready for
training; the mean Kullback-Leibler divergence from the file's own distributions is below 1e-6 for up to 1,000 classes
and grows slowly with their number (2.6e-6 for 10,000). float32 is exact and twice as large. Packed codes would be as
small as float16 and more exact, but take longer to decode than to gather.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, Self
from urllib.parse import quote

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.artefacts import fault, sha256_of
from kd_uncertainty.errors import UserError
from kd_uncertainty.soft_labels.building import build, teachers_in
from kd_uncertainty.soft_labels.description import mismatch
from kd_uncertainty.soft_labels.values import positions_of, whose

VERSION = 1
"""Raise when the content of a sidecar changes, so that old ones no longer count."""

Precision = Literal["float16", "float32"]

logger = logging.getLogger(__name__)


class SoftLabelStore:
    """One teacher's log-probabilities, memory-mapped; any number of processes share one copy in memory.

    Attributes:
        teacher: whose they are.
        example_ids: ``(examples,)`` int64, in the order of the rows.
        log_probabilities: ``(examples, draws, classes)`` float16 or float32, memory-mapped.
    """

    def __init__(self, teacher: str, values: Path, example_ids: Path) -> None:
        self.teacher = teacher
        self._files = values, example_ids
        try:
            self.example_ids: NDArray[np.int64] = np.load(example_ids, allow_pickle=False)
            # Copy on write, because PyTorch takes no array that it may not write to; nothing is ever written.
            self.log_probabilities: NDArray[Any] = np.load(values, mmap_mode="c", allow_pickle=False)
        except FileNotFoundError as error:  # a store that was pickled before
            raise UserError(
                f"soft labels: {error.filename} is gone, because its soft-label file was rewritten or the sidecar was "
                "deleted; open the store again with SoftLabelStore.open"
            ) from error
        self._rows = torch.from_numpy(np.asarray(self.log_probabilities))

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        teacher: str | None = None,
        *,
        precision: Precision = "float16",
        folder: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Open a soft-label file of either encoding; its sidecar is built if it is missing, damaged or out of date.

        The file and the sidecar are read once to verify them.

        Args:
            path: the Parquet file.
            teacher: whose rows; may be left out if there is one.
            precision: of the sidecar.
            folder: where sidecars are kept; by default ``<name>.rows`` beside the file, where those of the file's
                earlier contents are deleted; stores that are open keep their rows.

        Raises:
            UserError: if the file is missing, the teacher is not in it, or its soft labels cannot be used.
        """
        path = Path(path)
        name = _chosen(teacher, path)
        place = path.with_name(path.name + ".rows") if folder is None else Path(folder)
        content = sha256_of(path)
        digest = f"{content[:16]}-v{VERSION}"
        values, example_ids = _files(place / digest, name, precision)
        problem = fault(example_ids) or fault(values) or mismatch(content, name, values, example_ids)
        if problem:
            logger.info("building the sidecar of %s: %s", path, problem)
            build(path, content, precision, lambda teacher: _files(place / digest, teacher, precision))
            if folder is None:
                _remove_others(place, digest)
        return cls(name, values, example_ids)

    def __len__(self) -> int:
        return len(self.example_ids)

    def __reduce__(self) -> tuple[type[Self], tuple[str, Path, Path]]:
        """Pickle the place and not the content, so that workers map the same memory."""
        return type(self), (self.teacher, *self._files)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Examples, draws and classes."""
        examples, draws, classes = self._rows.shape
        return examples, draws, classes

    def positions(self, example_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of the given examples.

        Raises:
            UserError: if one is not there.
        """
        return positions_of(example_ids, self.example_ids, whose(self.teacher))

    def rows(self, indices: Tensor | NDArray[np.integer[Any]] | list[int]) -> Tensor:
        """Log-probabilities ``(len(indices), draws, classes)`` float32 of the given rows.

        Raises:
            IndexError: if a row is not there.
        """
        return self._rows.index_select(0, torch.as_tensor(indices)).float()

    def stream(self, batch: int) -> Iterator[Tensor]:
        """Log-probabilities of all rows in order, ``(at most batch, draws, classes)`` float32 at a time.

        Read from the file and not through the map, so that memory holds one batch; through the map only where the
        file has been deleted meanwhile, because its Parquet file was rewritten and opened by someone.
        """
        try:
            opened = open(self._files[0], "rb")  # noqa: SIM115  # closed below
        except FileNotFoundError:
            for start in range(0, len(self), batch):
                yield self._rows[start : start + batch].to(torch.float32, copy=True)
            return
        buffer = torch.empty((batch, *self.shape[1:]), dtype=self._rows.dtype)
        row_bytes = buffer[:1].nbytes
        raw = buffer.numpy().data.cast("B")
        with opened as file:
            np.lib.format.read_magic(file)
            np.lib.format.read_array_header_1_0(file)
            for start in range(0, len(self), batch):
                count = min(batch, len(self) - start)
                if file.readinto(raw[: count * row_bytes]) != count * row_bytes:
                    raise OSError(f"{self._files[0]} is shorter than its header says")
                yield buffer[:count].to(torch.float32, copy=True)


def _files(folder: Path, teacher: str, precision: Precision) -> tuple[Path, Path]:
    stem = quote(teacher, safe=" ")
    return folder / f"{stem}.{precision}.npy", folder / f"{stem}.example_id.npy"


def _chosen(teacher: str | None, path: Path) -> str:
    known = teachers_in(path)
    if teacher is None and len(known) == 1:
        return next(iter(known))
    if teacher not in known:
        asked = "a teacher is needed" if teacher is None else f"there is no teacher '{teacher}'"
        raise UserError(f"soft labels: {asked} in {path}; known: {', '.join(known)}")
    return teacher


def _remove_others(place: Path, digest: str) -> None:
    for old in place.iterdir():
        if old.is_dir() and old.name != digest:
            logger.info("%s belongs to earlier soft labels and is deleted", old)
            shutil.rmtree(old, ignore_errors=True)
