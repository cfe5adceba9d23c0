"""What every kind of teacher offers, and how a kind is found by its name.

A kind is one module of this package with three names::

    class Options(TeacherOptions)                                   # its settings; ``kind`` is a Literal
    def fit(problem: Problem, options: Options, seed: int) -> Fitted
    def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor

For a task of numbers (``Problem.loss`` is "mse") the one logit is the predicted number, scaled as the labels were. A
kind that knows its posterior mean of that may say so, ``posterior_mean(teacher, inputs) -> Tensor (examples, 1)``;
otherwise it is the mean of the draws that are cached.

A kind knows nothing of cross-fitting (``TeacherOptions.folds``): it is fitted and asked once a fold, see ``folds``.

Adding a kind is adding such a file: the registry below lists the package's folder.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Loss
from kd_uncertainty.population.memory import ChunkSize
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Options

MOST_FOLDS = 20
"""Fits of one cross-fitted teacher: what is gained beyond ten is little, what it costs is not."""


class TeacherOptions(Options):
    """What all kinds share: the kind's name and cross-fitting. A kind adds its own settings."""

    kind: str
    folds: Annotated[int, Field(ge=1, le=MOST_FOLDS)] = Field(
        1,
        description="fits, each without one part of the training split, which it then labels; 1: one fit on all of it",
    )

    @property
    def distinct_draws(self) -> int | None:
        """How many different draws the posterior has: 1 if it is a point, None if there is no end of them."""
        return None

    def cached_draws(self, num_draws: int) -> int:
        """How many of ``num_draws`` are worth caching: no draw twice, so that no two responses are the same draw."""
        return num_draws if self.distinct_draws is None else min(num_draws, self.distinct_draws)


@dataclass(frozen=True)
class Problem:
    """What a teacher is fitted on.

    Attributes:
        inputs, labels: the training split, ``(examples, num_inputs)`` float32 and ``(examples,)`` int64; numbers to
            predict are ``(examples, 1)`` float32, scaled to mean 0 and variance 1.
        validation_inputs, validation_labels: for the curves only; nothing is selected on them while fitting.
        num_classes: classes of the task; 1 where a number is predicted.
        network: the network's class and arguments.
        training: how it is trained.
        device: where.
        chunk_size: networks trained at once, or "auto".
        loss: "distillation" for classes, "mse" for numbers.
        example_ids: (examples,) int64 of the training split, by which a cross-fitted teacher knows again what it was
            fitted on; None: their positions.
    """

    inputs: Tensor
    labels: Tensor
    validation_inputs: Tensor
    validation_labels: Tensor
    num_classes: int
    network: NetworkOptions
    training: TrainingOptions
    device: torch.device
    chunk_size: ChunkSize = 32
    loss: Loss = "distillation"
    example_ids: NDArray[np.int64] | None = None


class Fitted(NamedTuple):
    """A fitted posterior: stacked weights, ``(members, ...)`` for each parameter, and the training curves."""

    parameters: dict[str, Tensor]
    curves: pd.DataFrame


@dataclass(frozen=True)
class Teacher:
    """A fitted teacher that can answer: its options, the network that its weights belong to, and the weights."""

    name: str
    options: TeacherOptions
    network: NetworkOptions
    num_inputs: int
    num_classes: int
    parameters: Mapping[str, Tensor]


class Kind(Protocol):
    """The names that a kind's module has."""

    @property
    def Options(self) -> type[TeacherOptions]:  # noqa: N802  (a class, as its name says)
        """The kind's settings."""

    def fit(self, problem: Problem, options: Any, seed: int) -> Fitted:
        """Fit the posterior to the training split; a pure function of its arguments."""

    def posterior_logits(self, teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
        """Draw logits ``(draws, examples, classes)``.

        Draw ``j`` is one function of the inputs, the same for all examples, and depends on ``(seed, j)`` alone, so that
        inputs may be streamed in batches of any size.
        """


def kinds() -> dict[str, Kind]:
    """All kinds by name: the public modules of this package that have ``Options``."""
    package = importlib.import_module("kd_uncertainty.teachers")
    names = (module.name for module in pkgutil.iter_modules(package.__path__))
    modules = (importlib.import_module(f"{package.__name__}.{name}") for name in names if name != "contract")
    return {module.Options.model_fields["kind"].default: module for module in modules if hasattr(module, "Options")}


def teacher_options(value: Any) -> TeacherOptions:
    """Turn ``{kind: ..., ...}`` from the configuration into the options of that kind.

    Raises:
        ValueError: if the kind is missing or unknown, with the list of known kinds.
    """
    if isinstance(value, TeacherOptions):
        return value
    known = kinds()
    kind = value.get("kind") if isinstance(value, Mapping) else None
    if kind not in known:
        raise ValueError(f"unknown kind of teacher {kind!r}; choose kind: one of {', '.join(sorted(known))}")
    return known[kind].Options.model_validate(dict(value))
