"""Calls of transformers' ``from_pretrained``: quiet, without surprises from the network, and GGUF files read once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from kd_uncertainty.errors import UserError
from kd_uncertainty.imports import lasting_imports
from kd_uncertainty.language.weights import Weights

_EXTRA = "pip install 'kd-uncertainty[language]'"


def import_transformers() -> Any:
    """Return the module ``transformers``, which is imported where it is needed: it takes seconds.

    Raises:
        UserError: if it is not installed.
    """
    try:
        with lasting_imports():
            import transformers
    except ImportError as error:
        raise UserError(f"language models need the package transformers ({error}); run {_EXTRA}") from error
    return transformers


def from_pretrained(
    loader: Callable[..., Any], weights: Weights, *, what: str, revision: str | None = None, **settings: Any
) -> Any:
    """Return ``loader(source, ...)``, a tokenizer or a model that transformers builds.

    Args:
        loader: a ``from_pretrained``.
        weights: where they are.
        what: is loaded, for the message: "tokenizer of the model 'x'".
        revision: of a hub name.
        settings: further arguments.

    Raises:
        UserError: if a package is missing, or the files are, or cannot be read.
    """
    if weights.gguf is not None:
        settings["gguf_file"] = weights.gguf
    if weights.local:
        settings["local_files_only"] = True
    elif revision is not None:
        settings["revision"] = revision
    try:
        with _quiet(), _parsed_once():
            return loader(weights.source, **settings)
    except ImportError as error:
        raise UserError(f"the {what} needs a package that is missing ({_first_line(error)}); run {_EXTRA}") from error
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # whatever a broken file makes transformers, safetensors and gguf raise
        where = weights.source if weights.local else "a hub or its cache"
        raise UserError(
            f"the {what} cannot be loaded from {where} ({_first_line(error)}); name a package, file, folder or hub "
            "name that holds a causal language model"
        ) from error


def dequantised() -> dict[str, Any]:
    """Return settings under which weights of a GGUF file become ordinary parameters, which can be trained.

    Versions of transformers that keep weights packed are asked not to; older ones know no other way.
    """
    config = getattr(import_transformers(), "GgufConfig", None)
    return {} if config is None else {"quantization_config": config(dequantize=True)}


def forget_quantisation(model: Any) -> None:
    """Let a dequantised model be what it is: an ordinary one, which can be copied and saved."""
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    for name in ("hf_quantizer", "quantization_method"):
        if name in vars(model):
            delattr(model, name)
    model.is_quantized = False


@contextmanager
def _quiet() -> Iterator[None]:
    """No bars and no advice of transformers within the block: bars of our own run around it."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _parsed_once() -> Iterator[None]:
    """Within the block, a GGUF file is parsed once, names of its tensors are listed once, and no bar is shown.

    transformers parses the file for the configuration and again for the weights, and lists names once for every
    module of the model, which together is most of the time.
    """
    try:
        import gguf
        from transformers import modeling_gguf_pytorch_utils as loading
    except ImportError:  # there is none, and whoever needs one will say so
        yield
        return
    kept = [(module, name, getattr(module, name)) for module, name in _slow(gguf, loading) if hasattr(module, name)]
    for module, name, value in kept:
        fast = functools.partial(value, disable=True) if name == "tqdm" else functools.lru_cache(maxsize=1)(value)
        setattr(module, name, fast)
    try:
        yield
    finally:
        for module, name, value in kept:
            setattr(module, name, value)


def _slow(gguf: Any, loading: Any) -> list[tuple[Any, str]]:
    return [(gguf, "GGUFReader"), (gguf, "get_tensor_name_map"), (loading, "tqdm")]


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
