"""From an import path to a network, with errors that name the place and the mend."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from kd_uncertainty.errors import UserError


def import_network(class_path: str) -> type[nn.Module]:
    """Import the network class at ``class_path``, e.g. ``my_package.my_module.MyNetwork``.

    Raises:
        UserError: if the module or the class does not exist, or it is not a ``torch.nn.Module``.
    """
    module_name, _, class_name = class_path.rpartition(".")
    where = f"network class '{class_path}'"
    if not module_name:
        raise UserError(f"{where}: give the full import path, such as my_package.my_module.MyNetwork")
    try:
        module = importlib.import_module(module_name)
    except ImportError as error:
        raise UserError(
            f"{where}: cannot import module '{module_name}' ({error}); put it under src/ or install its package"
        ) from error
    network = getattr(module, class_name, None)
    if network is None:
        raise UserError(f"{where}: module '{module_name}' has no class '{class_name}'")
    if not (isinstance(network, type) and issubclass(network, nn.Module)):
        raise UserError(f"{where}: is not a torch.nn.Module")
    return network


def build_network(class_path: str, arguments: Mapping[str, Any], num_inputs: int, num_classes: int) -> nn.Module:
    """Build one network, ``Class(num_inputs, num_classes, **arguments)``, and check what it returns.

    The check is one forward pass of two examples: logits must come out as ``(2, num_classes)``.

    Raises:
        UserError: if the class refuses its arguments, fails on ``(2, num_inputs)`` inputs, or has another output size.
    """
    where = f"network class '{class_path}'"
    try:
        with torch.random.fork_rng(devices=[]):  # a check must not move the generator that others draw from
            network = import_network(class_path)(num_inputs, num_classes, **arguments)
    except TypeError as error:
        raise UserError(
            f"{where}: cannot be built as Class(num_inputs={num_inputs}, num_classes={num_classes}, "
            f"**{dict(arguments)}): {error}"
        ) from error
    training = network.training
    try:
        with torch.no_grad():
            logits = network.eval()(torch.zeros(2, num_inputs))
    except Exception as error:  # a user's forward may raise anything
        raise UserError(f"{where}: its forward fails on inputs of shape (2, {num_inputs}): {error}") from error
    if tuple(getattr(logits, "shape", ())) != (2, num_classes):
        raise UserError(
            f"{where}: returns shape {tuple(getattr(logits, 'shape', ()))} for 2 examples where (2, {num_classes}) is "
            "needed: one logit for each class"
        )
    return network.train(training)


def network_builder(
    class_path: str, arguments: Mapping[str, Any], num_inputs: int, num_classes: int
) -> Callable[[], nn.Module]:
    """Check a network once, as ``build_network`` does, and return what builds more of the same.

    Raises:
        UserError: as ``build_network``.
    """
    build_network(class_path, arguments, num_inputs, num_classes)
    return partial(import_network(class_path), num_inputs, num_classes, **arguments)
