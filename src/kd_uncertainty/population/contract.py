"""What goes into and comes out of training a population; shared by the engine and its backends."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol, Self

import torch
from torch import Tensor, nn

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.options import TrainingOptions

State = dict[str, Tensor]
"""Parameters and buffers by name; with a leading students axis where it says so."""

Build = Callable[[], nn.Module]
"""Builds one freshly initialised network; draws its random numbers from torch's global CPU generator only."""

Role = Literal["student", "teacher network"]
"""What messages call the networks of a cohort."""

Loss = Literal["distillation", "mse"]
"""What a cohort minimises: cross-entropies of classes, or squared errors of real outputs; see ``losses``."""

AfterEpochs = Callable[[slice, range, State, Tensor], None]
"""Called as ``(students, epochs, stacked state, losses (students, epochs))`` when these students finished them."""


class Monitor(NamedTuple):
    """What a backend reports while it trains.

    Attributes:
        after_epochs: called with all epochs of all students, each once and in order; the state is that after the last
            epoch of the call.
        every_epoch: whether the caller looks at the state after every epoch, such as for validation curves. If not, a
            backend may report several epochs at once.
    """

    after_epochs: AfterEpochs
    every_epoch: bool = False


@dataclass(frozen=True)
class Cohort:
    """Students trained together.

    Attributes:
        targets: (tables, examples, outputs) float32, what teachers say about each training example: class
            probabilities, or real outputs for the loss "mse".
        mixing: (students,), the weight of these targets beside the data's own labels.
        temperature: (students,), softening of the student's probabilities; ignored by the loss "mse".
        initialisation_seeds: one a student; equal seeds start from the same parameters.
        order_seeds: one a student; equal seeds see the same batches (and drop the same units).
        numbers: the students' numbers in messages; by default their positions.
        role: what messages call one of them.
        tables: (students,) int64, the table of ``targets`` that each student uses, so that students with the same
            targets share memory; by default student i uses table i.
        switch_step: (students,) int64, the optimiser step, counted from 0, from which ``mixing_after`` replaces
            ``mixing``; with neither, mixing is constant.
        mixing_after: (students,), given together with ``switch_step``.
        loss: "distillation" or "mse"; with "mse" labels are (examples, outputs) float32.
        rows: (students, m) int64, the examples that each student is trained on, with repetition and in any number, such
            as a bootstrap resample (Efron 1979); positions in inputs, labels and targets. An epoch is then over these m
            rows, as if they were the data. Or (students, epochs, m), others in each epoch: a pass over the data that is
            cut into epochs, so that students are looked at along the way, or fresh data in each. By default everybody
            has all examples, each once.

    Raises:
        ValueError: if only one of ``switch_step`` and ``mixing_after`` is given, or the number of tables is not that of
            the students and ``tables`` is not given.
    """

    targets: Tensor
    mixing: Tensor
    temperature: Tensor
    initialisation_seeds: tuple[int, ...]
    order_seeds: tuple[int, ...]
    numbers: tuple[int, ...] = ()
    role: Role = "student"
    tables: Tensor | None = None
    switch_step: Tensor | None = None
    mixing_after: Tensor | None = None
    loss: Loss = "distillation"
    rows: Tensor | None = None

    def __post_init__(self) -> None:
        if (self.switch_step is None) != (self.mixing_after is None):
            raise ValueError("switch_step and mixing_after belong together; give both or neither")
        if self.tables is None and len(self.targets) != len(self):
            raise ValueError(f"{len(self)} students need as many tables of targets, not {len(self.targets)}, or tables")

    def __len__(self) -> int:
        return len(self.order_seeds)

    def __getitem__(self, students: slice) -> Self:
        """Return some of the students; tables of targets that students may share are kept whole."""
        return dataclasses.replace(
            self,
            targets=self.targets[students] if self.tables is None else self.targets,
            mixing=self.mixing[students],
            temperature=self.temperature[students],
            initialisation_seeds=self.initialisation_seeds[students],
            order_seeds=self.order_seeds[students],
            numbers=self.names[students],
            tables=None if self.tables is None else self.tables[students],
            switch_step=None if self.switch_step is None else self.switch_step[students],
            mixing_after=None if self.mixing_after is None else self.mixing_after[students],
            rows=None if self.rows is None else self.rows[students],
        )

    @property
    def names(self) -> tuple[int, ...]:
        """The students' numbers."""
        return self.numbers or tuple(range(len(self)))

    @property
    def table_index(self) -> Tensor:
        """The table of ``targets`` that each student uses, (students,) int64, on the device of the targets."""
        return torch.arange(len(self), device=self.targets.device) if self.tables is None else self.tables

    @property
    def num_rows(self) -> int:
        """Rows of an epoch: the m of ``rows``, or all examples."""
        return self.targets.shape[1] if self.rows is None else self.rows.shape[-1]

    def rows_of(self, epoch: int) -> Tensor | None:
        """Return the examples of an epoch, counted from 0: (students, m) int64, or None for all of them."""
        return self.rows[:, epoch] if self.rows is not None and self.rows.dim() == 3 else self.rows

    def mixing_at(self, step: int | Tensor) -> Tensor:
        """Return every student's mixing (students,) at an optimiser step, counted from 0; a number or a tensor ()."""
        if self.switch_step is None or self.mixing_after is None:
            return self.mixing
        return torch.where(step >= self.switch_step, self.mixing_after, self.mixing)

    def to(self, device: torch.device) -> Self:
        """Return the cohort with its tensors on ``device``, float32 but for tables, rows and steps."""
        return dataclasses.replace(
            self,
            targets=self.targets.to(device, torch.float32),
            mixing=self.mixing.to(device, torch.float32),
            temperature=self.temperature.to(device, torch.float32),
            tables=None if self.tables is None else self.tables.to(device),
            switch_step=None if self.switch_step is None else self.switch_step.to(device),
            mixing_after=None if self.mixing_after is None else self.mixing_after.to(device, torch.float32),
            rows=None if self.rows is None else self.rows.to(device),
        )

    @classmethod
    def of_ensemble(cls, targets: Tensor, initialisation_seeds: Sequence[int], order_seeds: Sequence[int]) -> Self:
        """Return ordinary networks, trained on labels: mixing 0, and one table of targets that all share.

        Args:
            targets: (examples, classes) one-hot labels.
            initialisation_seeds: one a network.
            order_seeds: one a network.
        """
        count = len(initialisation_seeds)
        return cls(
            targets.unsqueeze(0),
            torch.zeros(count),
            torch.ones(count),
            tuple(initialisation_seeds),
            tuple(order_seeds),
            role="teacher network",
            tables=torch.zeros(count, dtype=torch.int64),
        )


class Facts(NamedTuple):
    """What a backend may need to know of a population, beside the network, to say whether it can train it.

    Attributes:
        loss: what students minimise.
        options: how they are trained.
        device: where.
    """

    loss: Loss
    options: TrainingOptions
    device: torch.device


class TrainCohort(Protocol):
    """What a backend does."""

    def __call__(
        self,
        build: Build,
        initial: State,
        inputs: Tensor,
        labels: Tensor,
        cohort: Cohort,
        options: TrainingOptions,
        monitor: Monitor,
        threads: int = 1,
    ) -> State:
        """Train every student of the cohort and return their stacked parameters and buffers.

        A student's result is a pure function of its own part of the arguments: of its targets, seeds and settings, and
        never of its neighbours or of ``threads``. The optimiser steps of an epoch take its batches, in the student's
        own order (``seeds.batch_orders``), the last one partial; a batch with room for all examples is all examples in
        their own order. Learning rates are those of ``schedules.learning_rates``. A student with ``rows`` is trained
        as if the examples in these rows were all data.

        Args:
            build: builds one network.
            initial: initial parameters and buffers, stacked (students, ...), on the device to train on; left as found.
            inputs: (examples, features) float32, on the device.
            labels: (examples,) int64, or (examples, outputs) float32 for the loss "mse", on the device.
            cohort: the students, on the device.
            options: how to train.
            monitor: told of every finished epoch.
            threads: threads to spread students over, for backends that can.
        """


class Trained(NamedTuple):
    """The result of training a cohort, on the CPU.

    Attributes:
        parameters: each parameter (and buffer) of the network, stacked as (students, ...).
        losses: (students, epochs) mean training loss over each epoch's rows, in nats; for the loss "mse" in squared
            units of the outputs.
        validation: (students, epochs) after each epoch, by name; empty if not asked for. "validation_nll", the mean
            negative log-likelihood in nats, and "validation_accuracy"; or, for the loss "mse", "validation_mse", the
            mean over examples and outputs of the squared error, in squared units.
    """

    parameters: State
    losses: Tensor
    validation: dict[str, Tensor]


def require_finite(losses: Tensor, cohort: Cohort, epochs: range) -> None:
    """Raise UserError if a network's loss is NaN or infinite; ``losses`` is (students, epochs).

    The message names the first such epoch, and in it the first such network.
    """
    if bool(torch.isfinite(losses).all()):
        return
    column, position = (~torch.isfinite(losses)).T.nonzero()[0].tolist()
    student = cohort.role == "student"
    raise UserError(
        f"{cohort.role} {cohort.names[position]}: the training loss became {losses[position, column].item()} in "
        f"epoch {epochs[column] + 1}; set a smaller {'students' if student else 'teachers'}.training.learning_rate "
        f"(or a smaller momentum{' or distillation temperature' if student else ''})"
    )
