"""A population on disk, or any long job's result: a folder of shards, continued where a killed run left it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from kedro.io import AbstractDataset
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.shards import MANIFEST, ShardStore

logger = logging.getLogger(__name__)

Shard = tuple[int, dict[str, Tensor]]


class PendingPopulation(NamedTuple):
    """A population that is trained while it is saved.

    Attributes:
        identity: digest of everything that decides the result.
        num_shards: how many shards there will be.
        train: trains the shards of the given numbers and yields each when it is done.
        unit: what a shard is made of, in the singular; see ``ShardStore``.
    """

    identity: str
    num_shards: int
    train: Callable[[list[int]], Iterable[Shard]]
    unit: str = "student"


class Population(AbstractDataset[PendingPopulation, ShardStore]):
    """Save a pending population shard by shard; load a ``ShardStore`` that verifies what it reads.

    Saving trains only the shards that are not there yet, or not whole.
    """

    def __init__(self, filepath: str, metadata: dict[str, Any] | None = None) -> None:
        self._filepath = Path(filepath)
        self.metadata = metadata

    def load(self) -> ShardStore:
        """Open the folder."""
        return ShardStore.open(self._filepath)

    def save(self, data: PendingPopulation) -> None:
        """Train what is missing."""
        store = ShardStore(self._filepath, data.identity, data.num_shards, data.unit)
        for index, tensors in data.train(store.missing()):
            store.write(index, tensors)

    def _exists(self) -> bool:
        if not (self._filepath / MANIFEST).is_file():
            return False
        try:
            problem = ShardStore.open(self._filepath).fault()
        except UserError as error:  # the manifest itself is damaged
            problem = str(error)
        if problem:
            logger.warning("%s; what is missing will be trained", problem)
        return problem is None

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
