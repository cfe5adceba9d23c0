"""Images of a Parquet or NPZ file as the table that ingestion takes, as a catalog entry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError

from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.images import decode_images, image_table, read_npz


class ImageTable(AbstractDataset[NoReturn, pd.DataFrame]):
    """A file of images and labels: ``.parquet`` with an image column, or ``.npz`` with two arrays; read only.

    Example:
        ``` yaml
        classification.source:
          type: kd_uncertainty.datasets.ImageTable
          filepath: data/01_raw/cifar100.parquet
          images: img
          labels: fine_label
        ```
    """

    def __init__(
        self, filepath: str, images: str = "image", labels: str = "label", metadata: dict[str, Any] | None = None
    ) -> None:
        self._filepath = Path(filepath)
        self._images = images
        self._labels = labels
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Load pixels as columns ``c0_y0_x0`` and so on, and the labels as ``target``."""
        if not self._filepath.is_file():
            raise UserError(f"{self._filepath}: does not exist; set filepath in the catalog")
        if self._filepath.suffix == ".npz":
            return read_npz(self._filepath, self._images, self._labels)
        if self._filepath.suffix != ".parquet":
            raise UserError(f"{self._filepath}: is neither .parquet nor .npz; convert it")
        try:
            frame = pd.read_parquet(self._filepath, columns=[self._images, self._labels])
        except (OSError, ValueError, KeyError) as error:
            raise UserError(
                f"{self._filepath}: columns '{self._images}' and '{self._labels}' cannot be read ({error}); set images "
                "and labels in the catalog"
            ) from error
        return image_table(decode_images(frame[self._images].tolist()), frame[self._labels].to_numpy())

    def save(self, data: NoReturn) -> None:
        """Refuse: sources are read-only."""
        raise DatasetError(f"image table '{self._filepath}' is read-only")

    def _exists(self) -> bool:
        return self._filepath.is_file()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath), "images": self._images, "labels": self._labels}
