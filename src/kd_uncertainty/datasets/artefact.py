"""Any single-file dataset made safe: written whole or not at all, and verified before it is used."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from kedro.io import AbstractDataset
from kedro.io.core import parse_dataset_definition

from kd_uncertainty.artefacts import atomic_write, fault
from kd_uncertainty.datasets.streams import ParquetStream
from kd_uncertainty.errors import UserError

logger = logging.getLogger(__name__)


class Artefact(AbstractDataset[Any, Any]):
    """Wrap a file-based dataset so that a torn, truncated or edited file is never used.

    Saving writes a temporary name, then renames, and leaves a SHA-256 beside the file (``sha256sum -c`` reads it).
    Loading compares; existing means matching, so that ``kedro run --only-missing-outputs`` makes a damaged file again.

    Example:
        ``` yaml
        classification.examples:
          type: kd_uncertainty.datasets.Artefact
          dataset: pandas.ParquetDataset
          filepath: data/03_primary/examples.parquet
        ```

    Args:
        dataset: type of the wrapped dataset, or its configuration without ``filepath``.
        filepath: where it is; a local path.
        keep: whether what was loaded stays in memory until Kedro releases the dataset after its last reader; for a
            large table that nodes read one after another and do not change.
        optional: whether readers do without it: loading gives None where there is no file.
        metadata: anything, for plugins such as Kedro-Viz.
    """

    def __init__(
        self,
        dataset: str | dict[str, Any],
        filepath: str,
        keep: bool = False,
        optional: bool = False,
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self._filepath = Path(filepath)
        self._keep, self._optional = keep, optional
        self._kept: Any = None
        self._class, self._arguments = parse_dataset_definition(
            {"type": dataset} if isinstance(dataset, str) else dataset
        )
        self.metadata = metadata
        inner = self._at(self._filepath)
        if self._filepath.suffix == ".parquet":
            inner = ParquetStream(filepath)  # whose preview reads a few rows and can show lists
        if hasattr(inner, "preview"):
            self.preview = inner.preview  # Kedro-Viz reads the kind of preview from its signature

    def load(self) -> Any:
        """Load the file if it is whole.

        Raises:
            UserError: if it is missing and not optional, truncated or edited; the message names the file.
        """
        if self._kept is not None:
            return self._kept
        if self._optional and not self._filepath.exists():
            return None
        problem = fault(self._filepath)
        if problem:
            raise UserError(f"{problem}; run again with --only-missing-outputs to make it again")
        loaded = self._at(self._filepath).load()
        if self._keep:
            self._kept = loaded
        return loaded

    def save(self, data: Any) -> None:
        """Write under a temporary name, rename, and record the checksum."""
        self._kept = None
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(self._filepath) as temporary:
            self._at(temporary).save(data)

    def _at(self, path: Path) -> AbstractDataset[Any, Any]:
        make: Any = self._class
        dataset: AbstractDataset[Any, Any] = make(filepath=path.as_posix(), **self._arguments)
        return dataset

    def _release(self) -> None:
        self._kept = None

    def _exists(self) -> bool:
        problem = fault(self._filepath)
        if problem and self._filepath.exists():
            logger.warning("%s; it will not be used", problem)
        return problem is None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "dataset": self._class.__name__}
