"""Workload W5: soft labels on disk, streamed and read at random, by our store and by what one would use without it.

``prepare`` writes the same posterior (examples x draws x classes) in every format; ``streams`` and ``random_rows``
return one callable a reader. Every reader hands over float32 arrays of draws x classes, whatever it stores; those whose
name says "raw" stop before decoding. Compression, dictionaries and statistics, which slow readers down, are left out
except in our lists, and row groups are of 1,000 rows. Bytes are logical: those of the float32 logits that a file stands
for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray

from kd_uncertainty.datasets import SoftLabelTable
from kd_uncertainty.soft_labels import SoftLabelStore, pack_tables
from kd_uncertainty.soft_labels.cells import unpack
from kd_uncertainty.soft_labels.table import describe, response_schema, response_table

ROW_GROUP = 1_000
BATCH = 256
"""Rows of a streamed batch: of 8 x 100 float32, as much as a core's second-level cache holds."""

Reader = Callable[[], Any]


@dataclass(frozen=True)
class Files:
    """One posterior in every format.

    Attributes:
        folder: where the files are.
        shape: examples, draws, classes.
        store: our sidecar, float16.
        exact: our sidecar, float32.
    """

    folder: Path
    shape: tuple[int, int, int]
    store: SoftLabelStore
    exact: SoftLabelStore

    @property
    def logical_bytes(self) -> int:
        """Bytes of the float32 logits."""
        return 4 * int(np.prod(self.shape))

    def sizes(self) -> dict[str, int]:
        """Bytes on disk of each format, our sidecars included."""
        files = [path for path in sorted(self.folder.rglob("*")) if path.suffix in (".parquet", ".npy")]
        return {str(path.relative_to(self.folder)): path.stat().st_size for path in files}


def blocks(shape: tuple[int, int, int], seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Identifiers and normalised log-probabilities of ``ROW_GROUP`` examples at a time, (rows, draws, classes)."""
    generator = torch.Generator().manual_seed(seed)
    for start in range(0, shape[0], ROW_GROUP):
        rows = min(ROW_GROUP, shape[0] - start)
        logits = 3.0 * torch.randn(rows, *shape[1:], generator=generator)
        yield np.arange(start, start + rows), torch.log_softmax(logits, dim=-1).numpy()


def prepare(folder: Path, examples: int = 100_000, draws: int = 8, classes: int = 100, seed: int = 0) -> Files:
    """Write every format into ``folder`` (10 KB an example of 8 x 100) in bounded memory, and build the sidecars."""
    shape = (examples, draws, classes)
    folder.mkdir(parents=True, exist_ok=True)
    schema = response_schema(describe({"teacher": {"draws": draws}}, seed, [str(k) for k in range(classes)]))

    def lists() -> Iterator[pa.Table]:
        for ids, values in blocks(shape, seed):
            yield response_table("teacher", ids, torch.from_numpy(values).transpose(0, 1), schema)

    SoftLabelTable(str(folder / "lists.parquet")).save(lists())
    SoftLabelTable(str(folder / "packed.parquet")).save(pack_tables(lists(), draws))
    _write_columns(folder / "float32_lists.parquet", shape, seed, _flat_list)
    _write_columns(folder / "float16_fixed.parquet", shape, seed, _fixed_list)
    dense = np.lib.format.open_memmap(folder / "dense.npy", "w+", np.float32, shape)
    for ids, values in blocks(shape, seed):
        dense[ids] = values
    dense.flush()
    return Files(
        folder,
        shape,
        SoftLabelStore.open(folder / "packed.parquet"),
        SoftLabelStore.open(folder / "packed.parquet", precision="float32"),
    )


def _flat_list(values: NDArray[np.float32]) -> pa.Array:
    offsets = np.arange(len(values) + 1, dtype=np.int32) * values[0].size
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.ravel()))


def _fixed_list(values: NDArray[np.float32]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.astype(np.float16).ravel()), values[0].size)


def _write_columns(
    path: Path, shape: tuple[int, int, int], seed: int, column: Callable[[NDArray[np.float32]], pa.Array]
) -> None:
    writer: pq.ParquetWriter | None = None
    for ids, values in blocks(shape, seed):
        table = pa.table({"example_id": ids, "logits": column(values)})
        writer = writer or pq.ParquetWriter(
            path, table.schema, compression="none", use_dictionary=False, write_statistics=False
        )
        writer.write_table(table)
    if writer is not None:
        writer.close()


def streams(files: Files) -> dict[str, Reader]:
    """Readers of everything once, in order; one call reads ``files.logical_bytes``."""
    return {name: partial(_count, read) for name, read in batches(files).items()}


def _count(read: Callable[[], Iterator[Any]]) -> int:
    return sum(len(part) for part in read())


def batches(files: Files) -> dict[str, Callable[[], Iterator[Any]]]:
    """The batches of each stream: float32 arrays or tensors (rows, draws, classes), except the raw one's bytes.

    Every batch is in memory when it is handed over: the memory map's is copied, because else nothing would be read.
    """
    dense = np.load(files.folder / "dense.npy", mmap_mode="r")
    width = files.shape[1:]
    buffer = np.empty((BATCH, *width), np.float32)

    def copies() -> Iterator[NDArray[np.float32]]:
        for start in range(0, len(dense), BATCH):
            part = dense[start : start + BATCH]
            np.copyto(buffer[: len(part)], part)
            yield buffer[: len(part)]

    return {
        "our store": lambda: files.store.stream(BATCH),
        "our store, float32": lambda: files.exact.stream(BATCH),
        "our packed Parquet": lambda: (_unpacked(part) for part in _groups(files.folder / "packed.parquet")),
        "our packed Parquet, raw": lambda: (_cells(part) for part in _groups(files.folder / "packed.parquet")),
        "our lists Parquet": lambda: (_flat(part, width) for part in _groups(files.folder / "lists.parquet")),
        "list<float32>": lambda: (_flat(part, width) for part in _groups(files.folder / "float32_lists.parquet")),
        "FixedSizeList<float16>": lambda: (
            _flat(part, width) for part in _groups(files.folder / "float16_fixed.parquet")
        ),
        "np.load memory map, float32": copies,
    }


def random_rows(files: Files, rows: int = 256, seed: int = 0) -> dict[str, Reader]:
    """Readers of ``rows`` random examples, others in every call; each returns (rows, draws, classes)."""
    generator = np.random.default_rng(seed)
    choices = [generator.integers(0, files.shape[0], rows) for _ in range(64)]
    dense = np.load(files.folder / "dense.npy", mmap_mode="r")
    packed = pq.ParquetFile(files.folder / "packed.parquet")
    fixed = pq.ParquetFile(files.folder / "float16_fixed.parquet")
    cell = files.store.log_probabilities.reshape(files.shape[0], -1)
    gathered = np.empty((rows, cell.shape[1]), cell.dtype)
    readers: dict[str, Callable[[NDArray[np.int64]], Any]] = {
        "our store": files.store.rows,
        "our store, raw": lambda index: np.take(cell, index, axis=0, out=gathered, mode="clip"),
        "our store, float32": files.exact.rows,
        "np.load memory map, float32": lambda index: dense[index],
        "packed Parquet by row group": lambda index: _unpacked(_take(packed, index)),
        "FixedSizeList<float16> Parquet by row group": lambda index: _flat(_take(fixed, index), files.shape[1:]),
    }
    return {name: _each_in_turn(read, choices) for name, read in readers.items()}


def memcpy(num_bytes: int = 1 << 28) -> tuple[Reader, int]:
    """The limit: a copy from memory to memory by NumPy, and the bytes that one call copies."""
    source = np.ones(num_bytes // 4, np.float32)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source), source.nbytes


def _each_in_turn(read: Callable[[NDArray[np.int64]], Any], choices: list[NDArray[np.int64]]) -> Reader:
    turn = iter(range(1 << 62))
    return lambda: read(choices[next(turn) % len(choices)])


def _groups(path: Path) -> Iterator[pa.Table]:
    file = pq.ParquetFile(path)
    values = [name for name in file.schema_arrow.names if name not in ("teacher", "example_id")]
    return (file.read_row_group(group, columns=values) for group in range(file.num_row_groups))


def _take(file: pq.ParquetFile, index: NDArray[np.int64]) -> pa.Table:
    """The rows of the row groups that hold them, in order of their position."""
    values = [name for name in file.schema_arrow.names if name not in ("teacher", "example_id")]
    groups, position = np.unique(index // ROW_GROUP, return_inverse=True)
    return file.read_row_groups(list(groups), columns=values).take(position * ROW_GROUP + index % ROW_GROUP)


def _unpacked(table: pa.Table) -> NDArray[np.float32]:
    return unpack(table, "soft labels")


def _cells(table: pa.Table) -> NDArray[np.uint8]:
    return np.frombuffer(table.column(0).chunk(0).buffers()[1], np.uint8)


def _flat(table: pa.Table, width: tuple[int, ...]) -> NDArray[np.float32]:
    values = table.column("logits").combine_chunks()
    while not pa.types.is_floating(values.type):
        values = values.flatten()
    array = values.to_numpy(zero_copy_only=False).reshape(-1, *width)
    return torch.tensor(array).float().numpy() if array.dtype == np.float16 else array
