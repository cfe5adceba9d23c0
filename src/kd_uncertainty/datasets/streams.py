"""Parquet tables that are written as they come, batch by batch, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from kedro.io import AbstractDataset
from kedro_datasets._typing import TablePreview

from kd_uncertainty.soft_labels import SoftLabelFile
from kd_uncertainty.soft_labels.table import with_metadata


class ParquetStream(AbstractDataset[Iterable[pa.Table], pd.DataFrame]):
    """Save an iterable of Arrow tables of one schema, a row group each; load a data frame whose columns are Arrow's.

    Arrow-backed columns keep millions of lists in one buffer, where pandas' own would make an object of each. Any other
    reader (``pandas.read_parquet``, DuckDB) sees an ordinary Parquet file.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None, compression: str = "zstd") -> None:
        self._filepath = Path(filepath)
        self._compression = compression
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Read the whole table."""
        frame: pd.DataFrame = self._read().to_pandas(types_mapper=pd.ArrowDtype)
        return frame

    def save(self, data: Iterable[pa.Table]) -> None:
        """Consume the iterable; the first table's schema is the file's."""
        writer: pq.ParquetWriter | None = None
        try:
            for table in data:
                if writer is None:
                    writer = self._writer(table.schema)
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()

    def _writer(self, schema: pa.Schema) -> pq.ParquetWriter:
        """A dictionary pays for the few names, not for floats. Packed cells hardly shrink, and are read many times."""
        return pq.ParquetWriter(
            self._filepath,
            schema,
            compression={field.name: "none" if _is_packed(field) else self._compression for field in schema},
            use_dictionary=[field.name for field in schema if pa.types.is_string(field.type)],
            write_statistics=[field.name for field in schema if not _is_packed(field)],
        )

    def _read(self) -> pa.Table:
        return pq.read_table(self._filepath)

    def _exists(self) -> bool:
        return self._filepath.exists()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows, for Kedro-Viz, with long lists cut."""
        batch = next(pq.ParquetFile(self._filepath).iter_batches(batch_size=nrows), None)
        frame = pd.DataFrame() if batch is None else batch.to_pandas()
        return TablePreview(shorten_lists(frame).to_dict(orient="split"))


class SoftLabelTable(ParquetStream):
    """Posterior logits, as the Arrow table or the file that ``kd_uncertainty.soft_labels.read_soft_labels`` checks.

    Args:
        filepath: the Parquet file.
        fingerprint: of the stage that writes it; kept in the file's metadata beside what the tables say of themselves.
        memory_map: load the file's name only; its rows are then read from a memory-mapped sidecar and need not fit into
            memory.
        metadata: anything, for plugins such as Kedro-Viz.
    """

    def __init__(
        self,
        filepath: str,
        fingerprint: str | None = None,
        memory_map: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(filepath, metadata)
        self._fingerprint, self._memory_map = fingerprint, memory_map

    def save(self, data: Iterable[pa.Table]) -> None:
        """Consume the iterable; the first table's schema is the file's."""
        super().save(with_metadata(table, fingerprint=self._fingerprint) for table in data)

    def load(self) -> Any:
        """Read the whole table as Arrow's, or name the file."""
        return SoftLabelFile(self._filepath) if self._memory_map else self._read()


def shorten_lists(frame: pd.DataFrame, length: int = 60) -> pd.DataFrame:
    """Make cells that are not scalars into short strings."""
    return frame.map(lambda cell: cell if pd.api.types.is_scalar(cell) else _short(str(cell), length))


def _short(text: str, length: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def _is_packed(field: pa.Field) -> bool:
    return bool(pa.types.is_fixed_size_binary(field.type))
