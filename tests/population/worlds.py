"""Small populations to train, and networks that are not multilayer perceptrons."""

from __future__ import annotations

import dataclasses
import functools
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from kd_uncertainty.networks import MLP
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.plan import make_plan
from kd_uncertainty.population.workers import PopulationJob

CPU = torch.device("cpu")


def mlp(num_inputs: int, num_classes: int, *hidden: int, dropout: float = 0.0) -> functools.partial[MLP]:
    return functools.partial(MLP, num_inputs, num_classes, hidden=hidden, dropout=dropout)


def world(students: int, examples: int, features: int, classes: int) -> tuple[Tensor, Tensor, Cohort]:
    """Inputs, labels and students of every mixing and temperature, some sharing seeds."""
    generator = torch.Generator().manual_seed(students + 100 * examples)
    inputs = torch.randn(examples, features, generator=generator)
    labels = torch.randint(0, classes, (examples,), generator=generator)
    targets = torch.softmax(2 * torch.randn(students, examples, classes, generator=generator), -1)
    mixing = torch.rand(students, generator=generator)
    mixing[:2] = torch.tensor([0.0, 1.0])[:students]
    temperature = 0.5 + 4 * torch.rand(students, generator=generator)
    seeds = tuple(range(10, 10 + students))
    return (
        inputs,
        labels,
        Cohort(targets, mixing, temperature, tuple(s // 2 for s in seeds), tuple(s // 3 for s in seeds)),
    )


def regression_world(students: int, examples: int, features: int, outputs: int) -> tuple[Tensor, Tensor, Cohort]:
    """As :func:`world`, with real labels and targets and the squared error; students share three tables."""
    generator = torch.Generator().manual_seed(students + 100 * examples)
    inputs = torch.randn(examples, features, generator=generator)
    labels = torch.randn(examples, outputs, generator=generator)
    targets = torch.randn(3, examples, outputs, generator=generator)
    cohort = world(students, 1, 1, 2)[2]
    return inputs, labels, dataclasses.replace(cohort, targets=targets, tables=torch.arange(students) % 3, loss="mse")


def switching(cohort: Cohort) -> Cohort:
    """The same students, each with another mixing from a step of its own on; some switch at once, some never."""
    students = len(cohort)
    steps = torch.tensor([0, 1, 3, 10**9, 4]).repeat(students)[:students]
    return dataclasses.replace(cohort, switch_step=steps, mixing_after=1 - cohort.mixing)


def resampled(cohort: Cohort, size: int, epochs: int | None = None) -> Cohort:
    """The same students, each on a bootstrap resample of its own of this size, or on one of its own in each epoch."""
    generator = torch.Generator().manual_seed(size)
    shape = (len(cohort), size) if epochs is None else (len(cohort), epochs, size)
    rows = torch.randint(0, cohort.targets.shape[1], shape, generator=generator)
    return dataclasses.replace(cohort, rows=rows)


def block(target: str, **changes: Any) -> SimpleNamespace:
    """A block of arms."""
    settings = {"teachers": None, "num_responses": (1,), "mixing": (1.0,), "temperature": (1.0,)}
    settings["schedule"] = ("constant",)
    return SimpleNamespace(target=target, **(settings | changes))


def crossing(
    *blocks: SimpleNamespace, responses: int = 3, initialisations: int = 2, orders: int = 2, seed: int = 3
) -> Any:
    """A population's design."""
    return SimpleNamespace(
        arms=blocks, response_seeds=responses, initialisation_seeds=initialisations, order_seeds=orders, seed=seed
    )


def small_job(**changes: Any) -> PopulationJob:
    """A job of 28 students of all kinds of target, of which an epoch takes milliseconds."""
    generator = np.random.default_rng(0)
    plan: pd.DataFrame = make_plan(
        crossing(
            block("one_hot"),
            block("label", num_responses=(1, 2), mixing=(0.7,)),
            block("posterior", num_responses=(2,), temperature=(2.0,)),
            responses=2,
        ),
        {"dropout": 8},
    )
    settings: dict[str, Any] = {
        "plan": plan,
        "inputs": generator.normal(size=(90, 6)).astype(np.float32),
        "labels": generator.integers(0, 3, 90),
        "soft_labels": {"dropout": generator.normal(size=(90, 8, 3)).astype(np.float32)},
        "prediction_inputs": generator.normal(size=(110, 6)).astype(np.float32),
        "num_classes": 3,
        "network_class": "kd_uncertainty.networks.MLP",
        "network_arguments": {"hidden": [7]},
        "training": TrainingOptions(epochs=3, batch_size=32),
        "shard_size": 8,
    }
    return PopulationJob(**(settings | changes))


class Residual(nn.Module):
    """A network that is no plain sequence, of layers that torch.func understands."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(num_inputs, num_inputs), nn.Linear(num_inputs, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.last(inputs + torch.relu(self.first(inputs)))


class DataDependent(nn.Module):
    """A network that branches on values, which vmap cannot."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_inputs, num_classes)

    def forward(self, inputs: Tensor) -> Tensor:
        logits = self.linear(inputs)
        return logits if logits.sum() > 0 else 2 * logits


def normalised(num_inputs: int, num_classes: int) -> nn.Module:
    """A network with batch normalisation and its buffers."""
    return nn.Sequential(nn.Linear(num_inputs, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, num_classes))


class Convolutional(nn.Sequential):
    """A small network of convolutions over images, or over rows of 64 pixels."""

    def __init__(self, num_inputs: int, num_classes: int, flat: bool = True) -> None:
        images = [nn.Unflatten(1, (1, 8, 8))] if flat else []
        layers = [nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 5, 3), nn.ReLU()]
        super().__init__(*images, *layers, nn.Flatten(), nn.Linear(20, num_classes))


class Normalised(nn.Sequential):
    """Batch normalisation, which needs two examples."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__(nn.Linear(num_inputs, 5), nn.BatchNorm1d(5), nn.ReLU(), nn.Linear(5, num_classes))


class Picky(nn.Linear):
    """Accepts the trial with two examples of zeros, and no training batch."""

    def forward(self, inputs: Tensor) -> Tensor:
        if self.training and inputs.abs().sum() > 0:
            raise KeyError("an example\nthat it does not like")
        return super().forward(inputs)


class OneWay(nn.Linear):
    """Fails on the way back."""

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs).detach()
