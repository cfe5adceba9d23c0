"""A folder of shards, of which every byte is accounted for in a manifest."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import load, save_file
from torch import Tensor

from kd_uncertainty import artefacts
from kd_uncertainty.errors import UserError

FORMAT_VERSION = 1
MANIFEST = "manifest.json"

_logger = logging.getLogger(__name__)


class ShardStore:
    """Shards ``shard-00000.safetensors`` and so on, and a ``manifest.json`` with the SHA-256 of each.

    A shard exists once the manifest says so; the manifest is rewritten after each shard. All files appear under
    their names only when they are whole, so that a killed writer costs at most the shards it was working on.

    Args:
        folder: where the shards are; created on the first write.
        identity: digest of everything that the shards are computed from. Shards of another identity do not count.
        num_shards: how many there will be.
        unit: what a shard is made of, in the singular. The tensor of that name in the plural numbers those of a shard.
    """

    def __init__(self, folder: str | Path, identity: str, num_shards: int, unit: str = "student") -> None:
        self.folder = Path(folder)
        self.identity = identity
        self.num_shards = num_shards
        self.unit = unit

    @classmethod
    def open(cls, folder: str | Path) -> ShardStore:
        """Return the store that a folder's manifest describes.

        Raises:
            UserError: if there is no whole manifest.
        """
        manifest = _read_manifest(Path(folder) / MANIFEST)
        if isinstance(manifest, str):
            raise UserError(f"{manifest}; run the students stage again")
        return cls(folder, manifest["identity"], manifest["num_shards"])

    def path(self, index: int) -> Path:
        """Return where shard ``index`` is kept."""
        return self.folder / f"shard-{index:05d}.safetensors"

    def write(self, index: int, tensors: Mapping[str, Tensor]) -> None:
        """Write one shard, then the manifest that vouches for it.

        Args:
            index: from 0 to ``num_shards`` - 1.
            tensors: by name; must hold the numbers of the shard's units, such as "students".
        """
        path = self.path(index)
        with artefacts.atomic_write(path, checksum=False) as temporary:
            save_file({name: values.contiguous() for name, values in tensors.items()}, temporary)
            digest = artefacts.sha256_of(temporary)
        shards = self._entries()
        units = tensors[f"{self.unit}s"]
        shards[str(index)] = {
            "file": path.name,
            "sha256": digest,
            f"first_{self.unit}": int(units.min()),
            f"last_{self.unit}": int(units.max()),
        }
        manifest = {
            "format_version": FORMAT_VERSION,
            "identity": self.identity,
            "num_shards": self.num_shards,
            "shards": dict(sorted(shards.items(), key=lambda item: int(item[0]))),
        }
        with artefacts.atomic_write(self.folder / MANIFEST, checksum=False) as temporary:
            temporary.write_text(json.dumps({**manifest, "digest": _digest(manifest)}, indent=1), encoding="utf-8")

    def missing(self) -> list[int]:
        """Return the shards to compute: those that are not there, and, with a warning, those that are not whole.

        Also removes what killed writers left behind.
        """
        if self.folder.is_dir():
            artefacts.remove_abandoned(self.folder)
        entries = self._entries()
        wanted = []
        for index in range(self.num_shards):
            problem = self._shard_fault(index, entries)
            if problem is None:
                continue
            wanted.append(index)
            if str(index) in entries:
                _logger.warning("%s; it will be computed again", problem)
        return wanted

    def fault(self) -> str | None:
        """Return None if every shard is there and whole, else one sentence about the first that is not."""
        entries = self._entries()
        problems = (self._shard_fault(index, entries) for index in range(self.num_shards))
        return next((problem for problem in problems if problem), None)

    def complete(self) -> bool:
        """Tell whether every shard is there and whole."""
        return self.fault() is None

    def read(self, index: int) -> dict[str, Tensor]:
        """Return the tensors of one shard, verified.

        Raises:
            UserError: if the shard is missing, truncated or edited.
        """
        problem = self._shard_fault(index, self._entries())
        if problem:
            raise UserError(f"{problem}; run the students stage again to compute it again")
        return load(self.path(index).read_bytes())

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self.read(index) for index in range(self.num_shards))

    def _shard_fault(self, index: int, entries: Mapping[str, Any]) -> str | None:
        path, entry = self.path(index), entries.get(str(index))
        if entry is None:
            return f"{path} is not finished: {MANIFEST} does not list it"
        if not path.is_file():
            return f"{path} is missing"
        if artefacts.sha256_of(path) != entry["sha256"]:
            return f"{path} is truncated or was edited: it does not match its digest in {MANIFEST}"
        return None

    def _entries(self) -> dict[str, Any]:
        """Return the manifest's shards, or none if there is no whole manifest of this identity and format."""
        path = self.folder / MANIFEST
        manifest = _read_manifest(path)
        if isinstance(manifest, str):
            if path.exists():
                _logger.warning("%s; its shards do not count", manifest)
            return {}
        if (manifest["identity"], manifest["num_shards"]) != (self.identity, self.num_shards):
            return {}
        shards: dict[str, Any] = manifest["shards"]
        return shards


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()


def _read_manifest(path: Path) -> dict[str, Any] | str:
    """Return the manifest, or one sentence that says why it cannot be used.

    It carries its own digest rather than a checksum file: replacing two files is not atomic, and losing the manifest
    would lose every shard.
    """
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        stated = manifest.pop("digest")
    except FileNotFoundError:
        return f"{path} is missing"
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"{path} is truncated or was edited: it is not a manifest"
    if stated != _digest(manifest):
        return f"{path} is truncated or was edited: it does not match its own digest"
    if manifest.get("format_version") != FORMAT_VERSION:
        return f"{path} has format version {manifest.get('format_version')}, not {FORMAT_VERSION}"
    return dict(manifest)
