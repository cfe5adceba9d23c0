"""Students of the cells: what they are trained on, how, and what is measured of each."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty import calibration
from kd_uncertainty.comparison.data import EVALUATED, ComparisonData, Floats
from kd_uncertainty.comparison.options import TeacherComparisonOptions
from kd_uncertainty.comparison.plan import Cell
from kd_uncertainty.comparison.subsets import nested_rows
from kd_uncertainty.convergence.noise import (
    LEAST_EVALUATIONS,
    gradient_variances,
    step_std,
    tail_length,
    tail_std,
)
from kd_uncertainty.networks import network_builder
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Build, Cohort, Trained
from kd_uncertainty.population.memory import ChunkSize
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import choose_backend, naming_the_network, predict, train

NOISE = ("accuracy", "nll")
"""Curves of which convergence noise is measured."""


class StudentFit(NamedTuple):
    """How students are trained, and on what.

    Attributes:
        network: their class and arguments.
        training: how each is trained on all examples.
        backend: "auto" or its name.
        device: where.
        threads: threads over students; no result depends on them.
        chunk_size: students trained at once.
        bins: of the calibration error.
    """

    network: NetworkOptions
    training: TrainingOptions
    backend: str = "auto"
    device: torch.device = torch.device("cpu")
    threads: int = 1
    chunk_size: ChunkSize = 32
    bins: int = 15


@dataclass(frozen=True)
class Outcome:
    """What is measured of the students of one cell, an entry a student.

    Attributes:
        metrics: by split and metric, (students,): accuracy, nll (nats), ece and, where the Bayes probabilities are
            known, bayes_error, the squared error to them; in the cell of all data and draws also noise_accuracy_std,
            noise_accuracy_step, noise_nll_std, noise_nll_step (validation) and gradient_variance (train).
        losses: (students, validation examples) negative log-likelihood of each example, in nats.
    """

    metrics: Mapping[tuple[str, str], Floats]
    losses: Floats = field(repr=False)


class Targets(NamedTuple):
    """Targets of students: tables (tables, examples, classes) float32, and which one each of a cell's students uses."""

    tables: Tensor
    used: Mapping[Cell, Sequence[int]]


def training_of(options: TeacherComparisonOptions, training: TrainingOptions, full: int, size: int) -> TrainingOptions:
    """Return how students of ``size`` out of ``full`` examples are trained.

    With ``few_shot_training: steps`` they take as many optimiser steps as the others, to the nearest epoch, so that
    they are short of examples and not of training; warm-up and milestones keep their places.
    """
    if options.few_shot_training == "epochs" or size == full:
        return training
    steps = training.epochs * math.ceil(full / training.batch_size)
    epochs = max(training.epochs, round(steps / math.ceil(size / training.batch_size)))
    ratio = epochs / training.epochs
    return TrainingOptions(
        **training.model_dump()
        | {
            "epochs": epochs,
            "milestones": tuple(round(ratio * milestone) for milestone in training.milestones),
            "warmup_epochs": round(ratio * training.warmup_epochs),
        }
    )


class Classroom:
    """Trains the students of any cells of one comparison.

    Student s has the same initialisation, batch order and examples in every cell, so that cells are compared on common
    random numbers.

    Args:
        data: the task.
        options: of the comparison.
        fit: how students are trained.
        advance: told of the number of students that finished.
    """

    def __init__(
        self,
        data: ComparisonData,
        options: TeacherComparisonOptions,
        fit: StudentFit,
        advance: Callable[[int], Any] = lambda _: None,
    ) -> None:
        self.data, self.options, self.fit, self._advance = data, options, fit, advance
        self._labels = data.labels_of("train")
        self._seeds = {
            purpose: tuple(derive_seed(options.seed, purpose, student) for student in range(options.num_seeds))
            for purpose in ("initialisation", "order", "examples")
        }
        self._build: Build = network_builder(
            fit.network.class_path, fit.network.arguments, data.train.inputs.shape[1], data.num_classes
        )
        # Once for all cells: it is tried on two students before.
        self._backend, _ = choose_backend(
            self._build, fit.backend, data.train.inputs, data.num_classes, fit.training, fit.device
        )

    @property
    def one_hot(self) -> Tensor:
        """The data's own labels as targets, (examples, classes)."""
        return one_hot(self.data.train.labels, self.data.num_classes).float()

    def teach(self, cells: Sequence[Cell], targets: Targets) -> dict[Cell, Outcome]:
        """Train and measure the students of all cells; convergence noise is that of the first one."""
        groups: dict[tuple[float, bool], list[Cell]] = {}
        for cell in cells:
            groups.setdefault((cell.fraction, cell == cells[0]), []).append(cell)
        outcomes: dict[Cell, Outcome] = {}
        for (fraction, watched), group in groups.items():
            outcomes |= self._teach(group, targets, fraction, watched)
            self._advance(len(group) * self.options.num_seeds)
        return {cell: outcomes[cell] for cell in cells}

    def _teach(self, cells: Sequence[Cell], targets: Targets, fraction: float, watched: bool) -> dict[Cell, Outcome]:
        validation = (self.data.validation.inputs, self.data.validation.labels)
        cohort = self._cohort(cells, targets, fraction)
        training = training_of(self.options, self.fit.training, len(self._labels), cohort.num_rows)
        with naming_the_network(self.fit.network.class_path, "students", cohort.num_rows, training):
            trained = train(
                self._build,
                self.data.train.inputs,
                self.data.train.labels,
                cohort,
                training,
                backend=self._backend,
                device=self.fit.device,
                chunk_size=self.fit.chunk_size,
                threads=self.fit.threads,
                validation=validation if watched else None,
            )
        found = self._measured(trained)
        noise = self._noise(trained, cohort) if watched else {}
        students = self.options.num_seeds
        outcomes = {}
        for position, cell in enumerate(cells):
            own = slice(position * students, (position + 1) * students)
            metrics = {name: values[own] for name, values in {**found.metrics, **noise}.items()}
            outcomes[cell] = Outcome(metrics, found.losses[own])
        return outcomes

    def _cohort(self, cells: Sequence[Cell], targets: Targets, fraction: float) -> Cohort:
        students, tables = self.options.num_seeds, targets.tables
        rows = None
        if fraction < 1.0:
            rows = torch.from_numpy(
                np.tile(nested_rows(self._labels, fraction, self._seeds["examples"]), (len(cells), 1))
            )
        index = torch.tensor([table for cell in cells for table in targets.used[cell]], dtype=torch.int64)
        return Cohort(
            tables,
            torch.tensor([cell.mixing for cell in cells]).repeat_interleave(students),
            torch.tensor([cell.temperature for cell in cells]).repeat_interleave(students),
            self._seeds["initialisation"] * len(cells),
            self._seeds["order"] * len(cells),
            tables=index,
            rows=rows,
        )

    def _measured(self, trained: Trained) -> Outcome:
        metrics: dict[tuple[str, str], Floats] = {}
        losses: Floats = np.empty(0)
        for split in EVALUATED:
            inputs, labels = getattr(self.data, split).inputs, self.data.labels_of(split)
            logits = predict(self._build, trained.parameters, inputs).numpy()
            figures, _ = calibration.evaluate_students(logits, labels, None, self.fit.bins)
            metrics |= {(split, metric): figures[metric] for metric in ("accuracy", "nll", "ece")}
            if split in self.data.bayes:
                squares = (np.exp(calibration.log_softmax(logits)) - self.data.bayes[split]) ** 2
                metrics[split, "bayes_error"] = squares.sum(axis=-1).mean(axis=-1)
            if split == "validation":
                losses = -calibration.log_softmax(logits)[:, np.arange(len(labels)), labels]
        return Outcome(metrics, losses)

    def _noise(self, trained: Trained, cohort: Cohort) -> dict[tuple[str, str], Floats]:
        """Convergence noise on the validation split; NaN where there are too few epochs to tell."""
        share, students = self.options.evaluations, len(cohort)
        enough = tail_length(trained.losses.shape[1], share) >= LEAST_EVALUATIONS
        found: dict[tuple[str, str], Floats] = {}
        for metric in NOISE:
            curves = trained.validation[f"validation_{metric}"].double().numpy()
            for name, measure in (("std", tail_std), ("step", step_std)):
                noise = measure(curves, share) if enough else np.full(students, np.nan)
                found["validation", f"noise_{metric}_{name}"] = noise
        index, mixing, own = cohort.table_index, cohort.mixing, self.one_hot

        def target_of(student: int) -> Tensor:
            return torch.lerp(own, cohort.targets[index[student]], float(mixing[student]))

        inputs, threads = self.data.train.inputs, self.fit.threads
        found["train", "gradient_variance"] = gradient_variances(
            self._build, trained.parameters, inputs, target_of, threads
        )
        return found


def labels_only(cells: Sequence[Cell], one_hot_labels: Tensor, num_students: int) -> Targets:
    """Return the targets of students that learn the data's own labels alone."""
    return Targets(one_hot_labels.unsqueeze(0), {cell: [0] * num_students for cell in cells})
