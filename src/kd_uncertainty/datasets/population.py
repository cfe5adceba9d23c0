"""A population on disk: a folder of shards, continued where a killed run left it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from kedro.io import AbstractDataset
from torch import Tensor

from kd_uncertainty.population.shards import MANIFEST, ShardStore

Shard = tuple[int, dict[str, Tensor]]


class PendingPopulation(NamedTuple):
    """A population that is trained while it is saved.

    Attributes:
        identity: digest of everything that decides the result.
        num_shards: how many shards there will be.
        train: trains the shards of the given numbers and yields each when it is done.
    """

    identity: str
    num_shards: int
    train: Callable[[list[int]], Iterable[Shard]]


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
        store = ShardStore(self._filepath, data.identity, data.num_shards)
        for index, tensors in data.train(store.missing()):
            store.write(index, tensors)

    def _exists(self) -> bool:
        return (self._filepath / MANIFEST).is_file() and ShardStore.open(self._filepath).complete()

    def _describe(self) -> dict[str, Any]:
        return {"filepath": str(self._filepath)}
