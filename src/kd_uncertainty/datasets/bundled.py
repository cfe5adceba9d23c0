"""A table that comes with scikit-learn or this package, as a catalog entry."""

from __future__ import annotations

from typing import Any, NoReturn

import pandas as pd
from kedro.io import AbstractDataset, DatasetError
from kedro_datasets._typing import TablePreview

from kd_uncertainty.tasks.bundled import LABEL_NOISE, load_bundled


class BundledTable(AbstractDataset[NoReturn, pd.DataFrame]):
    """A bundled table by name: ``digits``, ``wine``, ``breast_cancer``, ``diabetes`` for regression, or ``facts``.

    ``facts`` holds questions with reference answers for a language model.

    ``label_noise`` is a suggestion that travels with the table (``attrs``): these tables are too clean to be
    interesting, and a user's own are not to be made noisier unasked.

    Example:
        ``` yaml
        classification.source:
          type: kd_uncertainty.datasets.BundledTable
          name: wine
        ```
    """

    def __init__(self, name: str, label_noise: float = 0.0, metadata: dict[str, Any] | None = None) -> None:
        self._name = name
        self._label_noise = label_noise
        self.metadata = metadata

    def load(self) -> pd.DataFrame:
        """Load the table."""
        table = load_bundled(self._name)
        table.attrs[LABEL_NOISE] = self._label_noise
        return table

    def save(self, data: NoReturn) -> None:
        """Refuse: bundled tables are read-only."""
        raise DatasetError(f"bundled table '{self._name}' is read-only")

    def _exists(self) -> bool:
        return True

    def _describe(self) -> dict[str, Any]:
        return {"name": self._name, "label_noise": self._label_noise}

    def preview(self, nrows: int = 5) -> TablePreview:
        """First rows, for Kedro-Viz."""
        return TablePreview(self.load().head(nrows).to_dict(orient="split"))
