"""From an import path to a network, with errors that name the place and the mend."""

from __future__ import annotations

import importlib
import os
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from kd_uncertainty.errors import UserError

_NOT_THE_USERS = (
    "<",  # frozen modules
    *(str(Path(sysconfig.get_path(name))) + os.sep for name in ("stdlib", "purelib", "platlib")),
    str(Path(__file__).parents[1]) + os.sep,
)
"""How the files start whose lines are not the user's: Python's own, installed packages, this project."""
_SELF_EXPLANATORY = (ImportError, RuntimeError, SyntaxError, TypeError, ValueError)


def import_network(class_path: str) -> type[nn.Module]:
    """Import the network class at ``class_path``, e.g. ``my_package.my_module.MyNetwork``.

    Raises:
        UserError: if the module does not exist or fails, the class does not exist, or is not a ``torch.nn.Module``.
    """
    module_name, _, class_name = class_path.rpartition(".")
    where = f"network class '{class_path}'"
    if not module_name:
        raise UserError(f"{where}: give the full import path, such as my_package.my_module.MyNetwork")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"{where}: cannot import module '{module_name}' ({describe_error(error)}); put it under src/ or install "
            "its package"
        ) from error
    except (Exception, SystemExit) as error:  # a user's module may do anything while it is imported
        raise UserError(
            f"{where}: importing module '{module_name}' fails: {describe_error(error)}; correct it there"
        ) from error
    network = getattr(module, class_name, None)
    if network is None:
        raise UserError(f"{where}: module '{module_name}' has no class '{class_name}'")
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise UserError(f"{where}: is not a torch.nn.Module")
    return network


def build_network(class_path: str, arguments: Mapping[str, Any], num_inputs: int, num_classes: int) -> nn.Module:
    """Build one network, ``Class(num_inputs, num_classes, **arguments)``, and check what it returns.

    The check is one forward pass of two examples: logits must come out as ``(2, num_classes)``. All parameters must be
    there before it, because every student is built afresh and starts from the parameters that ``__init__`` draws.

    Raises:
        UserError: if the class cannot be built with its arguments, has nothing to train, leaves parameters to be made
            by the first forward pass, fails on ``(2, num_inputs)`` inputs, or has another output size.
    """
    where = f"network class '{class_path}'"
    with torch.random.fork_rng(devices=[]):  # a check must not move the generator that others draw from
        network = _construct(class_path, arguments, num_inputs, num_classes)
        names = _check_parameters(network, where)
        training = network.training
        try:
            with torch.no_grad():
                logits = network.eval()(torch.zeros(2, num_inputs))
        except (Exception, SystemExit) as error:
            raise UserError(
                f"{where}: its forward fails on inputs of shape (2, {num_inputs}): {describe_error(error)}"
            ) from error
    if tuple(getattr(logits, "shape", ())) != (2, num_classes):
        raise UserError(
            f"{where}: returns shape {tuple(getattr(logits, 'shape', ()))} for 2 examples where (2, {num_classes}) is "
            "needed: one logit for each class"
        )
    if names != _names(network):
        raise UserError(f"{where}: its parameters or buffers are made by forward; make all of them in __init__")
    return network.train(training)


def try_arguments(class_path: str, arguments: Mapping[str, Any]) -> None:
    """Build a network without memory for its parameters, whatever the task's sizes, to see that it takes its arguments.

    No arithmetic is done: torch's threads, once started, would block processes that are forked later.

    Raises:
        UserError: if the class cannot be built.
    """
    with torch.device("meta"):
        _construct(class_path, arguments, _inputs_to_try(class_path, arguments), num_classes=2)


def _inputs_to_try(class_path: str, arguments: Mapping[str, Any]) -> int:
    """Return a number of inputs that a network of this package takes: an image's, if it takes images, else two."""
    choose = getattr(import_network(class_path), "inputs_to_try", None)
    try:
        return 2 if choose is None else int(choose(arguments))
    except ValueError as error:
        raise UserError(f"network class '{class_path}': {describe_error(error)}") from error


def _construct(class_path: str, arguments: Mapping[str, Any], num_inputs: int, num_classes: int) -> nn.Module:
    network_class = import_network(class_path)
    try:
        return network_class(num_inputs, num_classes, **arguments)
    except (Exception, SystemExit) as error:  # a user's __init__ may raise anything
        raise UserError(
            f"network class '{class_path}': cannot be built as Class(num_inputs={num_inputs}, "
            f"num_classes={num_classes}, **{dict(arguments)}): {describe_error(error)}"
        ) from error


def network_builder(
    class_path: str, arguments: Mapping[str, Any], num_inputs: int, num_classes: int
) -> Callable[[], nn.Module]:
    """Check a network once, as ``build_network`` does, and return what builds more of the same.

    Raises:
        UserError: as ``build_network``.
    """
    build_network(class_path, arguments, num_inputs, num_classes)
    return partial(import_network(class_path), num_inputs, num_classes, **arguments)


def describe_error(error: BaseException) -> str:
    """What a user's code raised, on one line: the first line of its text, and the file and line in the user's code."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if not isinstance(error, _SELF_EXPLANATORY) or not first:
        first = f"{type(error).__name__}: {first}".removesuffix(": ")
    place = _place(error)
    return f"{first} ({place})" if place else first


def _place(error: BaseException) -> str:
    """The innermost file and line that are neither this project's nor a library's, if there is one."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename}, line {error.lineno}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if not frame.filename.startswith(_NOT_THE_USERS):
            return f"{frame.filename}, line {frame.lineno}"
    return ""


def _check_parameters(network: nn.Module, where: str) -> list[str]:
    """Check that the network has all its parameters, and one to train; return the names of all its tensors."""
    lazy = [name for name, value in (*network.named_parameters(), *network.named_buffers()) if is_lazy(value)]
    if lazy:
        raise UserError(
            f"{where}: has lazy layers ('{lazy[0]}' has no size before the first forward pass); give the sizes, such "
            "as nn.Linear(num_inputs, 32) in place of nn.LazyLinear(32)"
        )
    if not any(parameter.requires_grad and parameter.numel() for parameter in network.parameters()):
        raise UserError(f"{where}: has no trainable parameter, so there is nothing to train; give it a layer with one")
    return _names(network)


def _names(network: nn.Module) -> list[str]:
    return [name for name, _ in (*network.named_parameters(), *network.named_buffers())]
