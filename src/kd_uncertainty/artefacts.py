"""Files that are either whole and provably so, or recognised as broken.

Every artefact ``name`` is written under a hidden temporary name, renamed into place, and accompanied by
``name.sha256`` in the format of coreutils, so that ``sha256sum -c name.sha256`` verifies it without our code.

The checksum is renamed into place *before* the file, so the rename of the file is the moment of truth. Whatever a
crash leaves behind is safe: an old file beside a new checksum does not match, a checksum without its file is a
missing file, and a new file is always preceded by its checksum.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterator
from pathlib import Path

_BLOCK_BYTES = 1 << 20


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's content as 64 hexadecimal digits, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def checksum_path(path: str | os.PathLike[str]) -> Path:
    """Return where the checksum of ``path`` is kept: ``<name>.sha256`` beside it."""
    path = Path(path)
    return path.with_name(path.name + ".sha256")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str], *, checksum: bool = True) -> Iterator[Path]:
    """Yield a temporary path to write to; on success make it ``path``, on any failure leave ``path`` as it was.

    The temporary file lies in the same folder (which is created) under a hidden name that keeps all suffixes.
    On success it is flushed to disk, its checksum is written (unless ``checksum`` is false, for files whose digest
    is kept elsewhere, as in a manifest), and both are renamed into place.

    Raises:
        FileNotFoundError: if the body did not write the temporary file.
        OSError: if the folder cannot be written to.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _temporary(path)
    try:
        yield temporary
        _flush(temporary)
        if checksum:
            _write_checksum(path, sha256_of(temporary))
        os.replace(temporary, path)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def fault(path: str | os.PathLike[str]) -> str | None:
    """Return None if the file matches its checksum, else one sentence that names the file and what is wrong."""
    path, sidecar = Path(path), checksum_path(path)
    if not path.is_file():
        return f"{path} is missing"
    if not sidecar.is_file():
        return f"{path} has no checksum beside it ({sidecar.name}), so it may be incomplete"
    fields = sidecar.read_text(encoding="utf-8", errors="replace").split(maxsplit=1)
    if not fields or len(fields[0]) != 64:
        return f"{path} has an unreadable checksum beside it ({sidecar.name})"
    if sha256_of(path) != fields[0]:
        return f"{path} is truncated or was edited: it does not match its checksum in {sidecar.name}"
    return None


def remove_abandoned(folder: str | os.PathLike[str]) -> list[Path]:
    """Delete the temporary files that writers killed on this machine left in ``folder``; return what was deleted."""
    removed = []
    for temporary in sorted(Path(folder).glob(".*-*.*")):
        writer = temporary.name[1:].split("-", 1)[0]
        if writer.isdigit() and not _is_running(int(writer)):
            temporary.unlink(missing_ok=True)
            removed.append(temporary)
    return removed


def _temporary(path: Path) -> Path:
    return path.with_name(f".{os.getpid()}-{secrets.token_hex(4)}.{path.name}")


def _write_checksum(path: Path, digest: str) -> None:
    sidecar = checksum_path(path)
    temporary = _temporary(sidecar)
    try:
        temporary.write_text(f"{digest}  {path.name}\n", encoding="utf-8")
        _flush(temporary)
        os.replace(temporary, sidecar)
        _flush(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _flush(path: Path) -> None:
    """Force a file or a folder's entries to disk; folders cannot be flushed everywhere, and then that is that."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # a folder on Windows
        return
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


def _is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
