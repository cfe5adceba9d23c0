"""A population as one unit of work: everything that its results depend on, cut into shards."""

from __future__ import annotations

import hashlib
import inspect
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.networks import build_network, import_network, network_builder
from kd_uncertainty.population.choice import arithmetic_of, choose_backend
from kd_uncertainty.population.contract import Build, Cohort, Loss
from kd_uncertainty.population.memory import ChunkSize, Sizes, students_at_once
from kd_uncertainty.population.mixings import check_switches, mixings_of
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.schedules import steps_per_epoch
from kd_uncertainty.population.targets import TargetMaker, check_soft_labels, deal_draws
from kd_uncertainty.population.training import naming_the_network, train

FORMAT_VERSION = 3
"""Raise when the arithmetic or the content of shards changes, so that old shards no longer count."""

_ROWS_HASHED_AT_ONCE = 4096


@dataclass(frozen=True)
class PopulationJob:
    """All students of a plan, and all that they are trained on.

    Attributes:
        plan: one row a student, from ``make_plan``.
        inputs: (examples, features) float32, the training examples.
        labels: (examples,) int64, theirs.
        soft_labels: teacher -> (examples, draws, classes) float32 cached posterior logits, for the training examples.
        prediction_inputs: (all examples, features) float32, the examples to predict.
        num_classes: logits of an example.
        network_class: import path of the network.
        network_arguments: its keyword arguments.
        training: how every student is trained.
        backend: "auto", or the name of a backend.
        shard_size: students saved together.
    """

    plan: pd.DataFrame
    inputs: NDArray[np.float32]
    labels: NDArray[Any]
    soft_labels: Mapping[str, NDArray[np.floating[Any]]]
    prediction_inputs: NDArray[np.float32]
    num_classes: int
    network_class: str
    network_arguments: Mapping[str, Any]
    training: TrainingOptions
    backend: str = "auto"
    shard_size: int = 48
    loss: ClassVar[Loss] = "distillation"

    @property
    def num_shards(self) -> int:
        """Shards in all."""
        return math.ceil(len(self.plan) / self.shard_size)

    def rows(self, index: int) -> pd.DataFrame:
        """Return the plan of one shard."""
        return self.plan.iloc[index * self.shard_size : (index + 1) * self.shard_size]

    @cached_property
    def build(self) -> Build:
        """Builds one network."""
        return network_builder(self.network_class, self.network_arguments, self.inputs.shape[1], self.num_classes)

    @cached_property
    def target_maker(self) -> TargetMaker:
        """Makes the students' targets."""
        return TargetMaker(self.soft_labels, self.labels, self.num_classes, deal_draws(self.plan))

    def check(self) -> None:
        """Check, before any work, that the network can be built, the responses suffice and losses switch in time.

        Raises:
            UserError: if not.
        """
        build_network(self.network_class, self.network_arguments, self.inputs.shape[1], self.num_classes)
        check_soft_labels(self.plan, {name: logits.shape[1] for name, logits in self.soft_labels.items()})
        if "schedule" in self.plan:
            check_switches(self.plan["schedule"], self._num_steps)

    def choose_backend(self, device: torch.device) -> tuple[str, str]:
        """Return the backend that trains this job on ``device``, and why."""
        inputs = torch.from_numpy(self.inputs)
        return choose_backend(self.build, self.backend, inputs, self.num_classes, self.training, device, self.loss)

    def identity(self, backend: str) -> str:
        """Return a SHA-256 of all content, the network's source code included, as 64 hexadecimal digits.

        The backend that trains, its vector instructions and torch's version are part of it, since results of others
        differ in their last bits.
        Workers, threads and chunk sizes are not, because they change no result.

        Args:
            backend: the name that :meth:`choose_backend` returned.
        """
        digest = hashlib.sha256()
        settings = {
            "format_version": FORMAT_VERSION,
            "network": [self.network_class, dict(self.network_arguments), _source(self.network_class)],
            "training": self.training.model_dump(mode="json"),
            "sizes": [self.num_classes, self.shard_size],
            "arithmetic": [backend, arithmetic_of(backend), torch.__version__],
            "columns": list(self.plan.columns),
        }
        digest.update(json.dumps(settings, sort_keys=True, default=str).encode())
        digest.update(self.plan.to_csv(index=False, lineterminator="\n").encode())
        for name, array in self._arrays():
            digest.update(f"{name} {array.shape} {array.dtype.str}\n".encode())
            for start in range(0, len(array), _ROWS_HASHED_AT_ONCE):  # soft labels may be larger than the memory
                digest.update(np.ascontiguousarray(array[start : start + _ROWS_HASHED_AT_ONCE]).tobytes())
        return digest.hexdigest()

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        """All arrays that results depend on, by name."""
        return [
            ("inputs", self.inputs),
            ("labels", self.labels),
            ("prediction_inputs", self.prediction_inputs),
            *((f"teacher {name}", self.soft_labels[name]) for name in sorted(self.soft_labels)),
        ]

    def train_shard(
        self,
        index: int,
        backend: str,
        device: torch.device,
        chunk_size: ChunkSize,
        on_epoch: Callable[[int], None] | None = None,
        threads: int = 1,
    ) -> dict[str, Tensor]:
        """Train one shard's students and return what is kept of them.

        Args:
            index: which shard.
            backend: the name that :meth:`choose_backend` returned.
            device: where to train.
            chunk_size: students trained at once, or "auto".
            on_epoch: as in :func:`~kd_uncertainty.population.training.train`.
            threads: likewise.

        Returns:
            "parameters/<name>" (students, ...), "losses" (students, epochs), "logits" (students, all examples,
            classes), all float32, and "students" (students,) int64, their numbers in the plan.

        Raises:
            UserError: if a student's training diverges, or its network fails.
        """
        with naming_the_network(self.network_class, "students", len(self.labels), self.training):
            return self._train_shard(index, backend, device, chunk_size, on_epoch, threads)

    def _train_shard(
        self,
        index: int,
        backend: str,
        device: torch.device,
        chunk_size: ChunkSize,
        on_epoch: Callable[[int], None] | None,
        threads: int,
    ) -> dict[str, Tensor]:
        rows = list(self.rows(index).itertuples(index=False))
        inputs, labels = torch.from_numpy(self.inputs).to(device), torch.from_numpy(self.labels).to(device)
        prediction_inputs = torch.from_numpy(self.prediction_inputs).to(device)
        pieces: list[dict[str, Tensor]] = []
        sizes = Sizes(self.inputs.shape[1:], len(self.inputs), self.num_classes)
        size = students_at_once(chunk_size, self.build, sizes, self.training, device)
        for start in range(0, len(rows), size):
            cohort = self._cohort(rows[start : start + size])
            trained = train(
                self.build,
                inputs,
                labels,
                cohort,
                self.training,
                backend=backend,
                device=device,
                chunk_size=size,
                threads=threads,
                on_epoch=on_epoch,
            )
            parameters = {name: values.to(device) for name, values in trained.parameters.items()}
            pieces.append(
                {f"parameters/{name}": values for name, values in trained.parameters.items()}
                | {"losses": trained.losses, "logits": predict(self.build, parameters, prediction_inputs).cpu()}
                | {"students": torch.tensor(cohort.numbers)}
            )
        return {name: torch.cat([piece[name] for piece in pieces]) for name in pieces[0]}

    def _cohort(self, rows: list[Any]) -> Cohort:
        tables, table_of = self._targets(rows)
        mixings = mixings_of(rows, self._num_steps)
        return Cohort(
            targets=torch.from_numpy(tables),
            mixing=mixings.mixing,
            temperature=torch.tensor([getattr(row, "temperature", 1.0) for row in rows], dtype=torch.float32),
            initialisation_seeds=tuple(int(row.initialisation_seed) for row in rows),
            order_seeds=tuple(int(row.order_seed) for row in rows),
            numbers=tuple(int(row.student) for row in rows),
            tables=torch.from_numpy(table_of),
            switch_step=mixings.switch_step,
            mixing_after=mixings.mixing_after,
            loss=self.loss,
        )

    @property
    def _num_steps(self) -> int:
        """Optimiser steps of a student's training."""
        return self.training.epochs * steps_per_epoch(self.training, len(self.inputs))

    def _targets(self, rows: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Targets (tables, examples, outputs), and the table of each student."""
        return self.target_maker.targets(rows)


def _source(class_path: str) -> str:
    """Return the source of the network's class, so that editing a network is noticed; empty if it has none."""
    try:
        return inspect.getsource(import_network(class_path))
    except (OSError, TypeError):
        return ""
