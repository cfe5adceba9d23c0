"""From the kernel's C++ to a shared library: compiled once, kept under the digest of all that it is made from."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import platform
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kd_uncertainty import artefacts

_logger = logging.getLogger(__name__)

KERNEL = Path(__file__).parent / "kernel"
FLAGS = ("-O3", "-std=c++17", "-fno-math-errno", "-pthread")
"""Both GCC and Clang compute a * b + c as one operation unless told otherwise, as ``normals.inl`` tells them."""
_NAME = "kd_uncertainty_kernel"
_CACHE = "TORCH_EXTENSIONS_DIR"
_ABANDONED_SECONDS = 3600.0


class BuildError(Exception):
    """There is no library, and the text is a clause that says why."""


def library_path() -> Path:
    """Return where the library is kept: ``<cache>/kd_uncertainty/<digest>/``.

    The cache is torch's own for extensions: the folder in the environment variable ``TORCH_EXTENSIONS_DIR``, or
    ``torch_extensions`` in the user's cache folder. The digest is that of sources, flags and architecture, so that
    another version of this project, or another machine that shares the folder, has a library of its own.
    """
    digest = hashlib.sha256(" ".join((*FLAGS, platform.system(), platform.machine())).encode())
    for source in sorted(path for path in KERNEL.iterdir() if path.suffix in (".cpp", ".h", ".inl")):
        content = source.read_bytes()
        digest.update(f"\n{source.name} {len(content)}\n".encode() + content)
    return _cache() / "kd_uncertainty" / digest.hexdigest()[:16] / f"{_NAME}.so"


def _cache() -> Path:
    if folder := os.environ.get(_CACHE):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "torch_extensions"


def ensure_library() -> Path:
    """Return the path of a whole library, compiled now if there is none yet.

    Raises:
        BuildError: if there is no compiler, the sources do not compile, or the cache cannot be written to.
    """
    try:
        path = library_path()
        if artefacts.fault(path) is None:
            return path
        if path.exists():
            _logger.warning("%s; it is compiled again", artefacts.fault(path))
        _compile(path)
    except (OSError, RuntimeError) as error:  # RuntimeError: no home folder
        raise BuildError(f"the compiled kernel cannot be kept ({error}); set {_CACHE} to your own folder") from error
    return path


def _compile(path: Path) -> None:
    _logger.info("compiling the native kernel, once, into %s (about ten seconds)", path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(path.parent)
    # A folder of its own, so that processes that compile at the same time do not meet; the last one's file stays.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix="build-") as folder, _ninja_on_the_path():
        try:
            from torch.utils.cpp_extension import load

            with warnings.catch_warnings(), _quiet("torch.utils.cpp_extension"):
                warnings.simplefilter("ignore")  # torch's advice about compilers that it has not been tried with
                load(_NAME, [str(KERNEL / "train.cpp")], extra_cflags=list(FLAGS), build_directory=folder,
                     is_python_module=False)  # fmt: skip
        except Exception as error:  # no compiler, no ninja, or whatever else torch's loader raises
            raise BuildError(f"the kernel cannot be compiled ({_reason(error)})") from error
        built = next(iter(Path(folder).glob(f"{_NAME}*.so")), None)
        if built is None:
            raise BuildError("the kernel cannot be compiled (the compiler left no library)")
        with artefacts.atomic_write(path) as temporary:
            shutil.copyfile(built, temporary)


def _remove_abandoned(folder: Path) -> None:
    """Delete what compilations that were killed left behind."""
    for left in folder.glob("build-*"):
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


@contextmanager
def _ninja_on_the_path() -> Iterator[None]:
    """Put the ninja of this Python environment on the path, which need not be activated."""
    before = os.environ.get("PATH", "")
    spec = importlib.util.find_spec("ninja")
    if spec is not None and spec.origin is not None:
        import ninja

        os.environ["PATH"] = os.pathsep.join((str(ninja.BIN_DIR), before))
    try:
        yield
    finally:
        os.environ["PATH"] = before


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Keep a logger from printing what is said in one line anyway."""
    logger = logging.getLogger(name)
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before


def _reason(error: Exception) -> str:
    """Return the line of a failed build that tells most: that of a missing program, or the first error."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [
        line
        for words in ("not found", "no such file", "cannot find", "error")
        for line in lines
        if words in line.lower() and not line.startswith(("Error building extension", "FAILED"))
    ]
    return (telling or lines or [type(error).__name__])[0][:200]
