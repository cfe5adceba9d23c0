"""A cohort's training as a program over fixed tensors: a step takes nothing from the host, so a GPU can replay it.

Once an epoch the students' orders are uploaded. Within it, counters on the device say which batch, learning rate,
mixing and dropout masks are next. There is one step for each batch shape: the full batch, and the last, partial one.
On the CPU the same steps are called one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.population.backends.stacked import aligned
from kd_uncertainty.population.contract import Cohort, Monitor, State
from kd_uncertainty.population.dropout import Layers, set_step
from kd_uncertainty.population.graphs import Capture, Step, capture, upload, wait_for
from kd_uncertainty.population.optimisers import CapturableOptimiser, Optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.schedules import learning_rates
from kd_uncertainty.population.seeds import batch_orders

Gradients = Callable[[State, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[State, Tensor]]
"""From stacked state, inputs, labels, targets, mixing and temperature to (gradients by name, losses (students,))."""

Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs, labels and targets, each (students, examples of the batch, ...)."""


class Mode(NamedTuple):
    """How a program is run.

    Attributes:
        capture: turns its steps into what is called.
        capturable: whether the optimiser may take nothing from the host either; if not, it is torch's own.
    """

    capture: Capture
    capturable: bool


def mode_on(device: torch.device) -> Mode:
    """Return the way for a device: on a CPU torch's own updates, whose bits are those of the loop."""
    return Mode(capture, capturable=device.type != "cpu")


class Batches:
    """Every student's batches of an epoch, each in its own order.

    Args:
        inputs: (examples, features).
        labels: (examples, ...).
        cohort: the students; all on one device.
        batch_size: examples of a full batch; one that has room for all is all examples (or rows) in their own order.
    """

    def __init__(self, inputs: Tensor, labels: Tensor, cohort: Cohort, batch_size: int) -> None:
        self.inputs, self.labels, self.cohort, self.batch_size = inputs, labels, cohort, batch_size
        self.size = cohort.num_rows  # of an epoch
        self.full, self.rest = divmod(self.size, batch_size)
        # One flat table of targets, so that a single gather serves all students; and where in it each student's begins.
        self._targets = cohort.targets.reshape(-1, cohort.targets.shape[-1])
        self._begins = (len(inputs) * cohort.table_index).unsqueeze(1)
        self.whole = self._whole(cohort.rows_of(0)) if batch_size >= self.size else None
        device, shape = inputs.device, (len(cohort), 0 if self.whole else self.size)
        self._orders = torch.empty(shape, dtype=torch.int64, device=device)
        self._first = torch.arange(0 if self.whole else batch_size, device=device)
        self.places = self._first.clone()  # the next full batch, as columns of the orders

    def start_epoch(self, epoch: int) -> None:
        """Go to the first batch of an epoch, counted from 0."""
        rows = self.cohort.rows_of(epoch)
        if self.whole is None:
            orders = batch_orders(self.cohort.order_seeds, epoch, self.size)
            upload(self._orders, torch.from_numpy(orders))
            if rows is not None:
                self._orders.copy_(rows.gather(1, self._orders))
            self.places.copy_(self._first)
        elif rows is not self.cohort.rows:  # others in each epoch
            for values, new in zip(self.whole, self._whole(rows), strict=True):
                values.copy_(new)  # in place, since that is where a captured step looks

    def shapes(self) -> list[tuple[Callable[[], Batch], int]]:
        """Return, for each batch shape in an epoch's order, what takes the next such batch, and how many there are."""
        if self.whole is not None:
            whole = self.whole
            return [(lambda: whole, 1)]
        return [(self._next_full, self.full)] + ([(self._last, 1)] if self.rest else [])

    def _next_full(self) -> Batch:
        batch = self._take(self._orders.index_select(1, self.places))
        self.places.add_(self.batch_size)
        return batch

    def _last(self) -> Batch:
        return self._take(self._orders[:, self.full * self.batch_size :])

    def _take(self, rows: Tensor) -> Batch:
        students = len(rows)
        places, rows = (rows + self._begins).reshape(-1), rows.reshape(-1)
        return (
            self.inputs.index_select(0, rows).view(students, -1, *self.inputs.shape[1:]),
            self.labels.index_select(0, rows).view(students, -1, *self.labels.shape[1:]),
            self._targets.index_select(0, places).view(students, -1, self._targets.shape[-1]),
        )

    def _whole(self, rows: Tensor | None) -> Batch:
        """Return the one batch of all examples (or rows) in their own order."""
        if rows is not None:
            inputs, labels, targets = self._take(rows)
        else:
            students = len(self.cohort)
            inputs, labels = (values.expand(students, *values.shape) for values in (self.inputs, self.labels))
            targets = self.cohort.targets.index_select(0, self.cohort.table_index)
        return aligned(inputs) if inputs.dim() == 3 else inputs, labels, targets


class Program:
    """The training of a cohort.

    Args:
        gradients_and_losses: the network's forward and backward pass.
        state: stacked initial parameters, which training changes in place.
        batches: the examples.
        layers: the network's dropout layers.
        options: how to train.
        mode: how to run it.
    """

    def __init__(
        self,
        gradients_and_losses: Gradients,
        state: State,
        batches: Batches,
        layers: Layers,
        options: TrainingOptions,
        mode: Mode,
    ) -> None:
        device, rates = batches.inputs.device, learning_rates(options, batches.size)
        self._gradients_and_losses, self._state, self._layers = gradients_and_losses, state, layers
        self._batches, self._options, self._mode = batches, options, mode
        self._position = torch.zeros((), dtype=torch.int64, device=device)  # optimiser steps taken
        self._total = torch.zeros(len(batches.cohort), device=device)  # loss x examples, of the epoch so far
        self._optimiser: _Optimiser = (
            CapturableOptimiser(state.values(), options, rates, self._position)
            if mode.capturable
            else _Scheduled(state, options, rates)
        )

    def run(self, monitor: Monitor) -> None:
        """Train all epochs and report each; the host waits for nothing before the last."""
        device, steps = self._total.device, list[tuple[Step, int]]()
        students = slice(0, len(self._total))
        for epoch in range(self._options.epochs):
            self._batches.start_epoch(epoch)
            self._total.zero_()
            steps = steps or self._captured(device)
            for step, times in steps:
                for _ in range(times):
                    step()
            losses = (self._total / self._batches.size).unsqueeze(1)
            monitor.after_epochs(students, range(epoch, epoch + 1), self._state, losses)
        wait_for(device)

    def _captured(self, device: torch.device) -> list[tuple[Step, int]]:
        counters = [self._position, self._total, self._batches.places, *(layer.step for layer in self._layers.values())]
        changed = [*self._optimiser.changed, *counters]
        shapes = self._batches.shapes()
        return [(self._mode.capture(self._step_on(take), changed, device), times) for take, times in shapes]

    def _step_on(self, take: Callable[[], Batch]) -> Step:
        cohort = self._batches.cohort

        def step() -> None:
            batch = take()
            set_step(self._layers, self._position)
            mixing = cohort.mixing_at(self._position)
            gradients, losses = self._gradients_and_losses(self._state, *batch, mixing, cohort.temperature)
            self._optimiser.step([gradients[name] for name in self._state])
            self._total.add_(losses * batch[0].shape[1])
            self._position.add_(1)

        return step


class _Optimiser(Protocol):
    @property
    def changed(self) -> list[Tensor]: ...

    def step(self, gradients: list[Tensor]) -> None: ...


class _Scheduled:
    """Torch's own updates, which take their rates from the host."""

    def __init__(self, state: State, options: TrainingOptions, rates: NDArray[np.float64]) -> None:
        self._optimiser, self._rates = Optimiser(state.values(), options), iter(rates.tolist())

    @property
    def changed(self) -> list[Tensor]:
        return []  # and what it changes cannot be put back: it is for steps that are called one by one

    def step(self, gradients: list[Tensor]) -> None:
        self._optimiser.step(gradients, next(self._rates))
