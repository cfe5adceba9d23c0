"""The reference backend: one ordinary network after another, with torch's own updates."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn

from kd_uncertainty.population.contract import Build, Cohort, Monitor, State
from kd_uncertainty.population.dropout import dropout_keys, dropout_layers, set_keys, set_step, with_counter_dropout
from kd_uncertainty.population.losses import batch_loss
from kd_uncertainty.population.optimisers import Optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.precision import forward_precision
from kd_uncertainty.population.schedules import learning_rates
from kd_uncertainty.population.seeds import batch_orders, derive_seed


class _Data(NamedTuple):
    """What one student is trained on; targets are its own."""

    inputs: Tensor
    labels: Tensor
    targets: Tensor

    def take(self, rows: Tensor | None) -> Self:
        """Return the examples in these rows; None stands for all, in their own order."""
        return self if rows is None else type(self)(self.inputs[rows], self.labels[rows], self.targets[rows])


def train_cohort(
    build: Build,
    initial: State,
    inputs: Tensor,
    labels: Tensor,
    cohort: Cohort,
    options: TrainingOptions,
    monitor: Monitor,
    threads: int = 1,
) -> State:
    """Train one student after another; see :class:`~kd_uncertainty.population.contract.TrainCohort`.

    Convolutional networks compute with channels last, which is about twice as fast on a CPU.
    """
    network = with_counter_dropout(build()).to(inputs.device)
    layout = _memory_format(network)
    network.to(memory_format=layout)  # type: ignore[call-overload]
    trained = {name: values.clone() for name, values in initial.items()}
    rates = learning_rates(options, cohort.num_rows).reshape(options.epochs, -1).tolist()
    # Copied, so that the inputs start at an address like that of any batch, wherever the caller's start.
    inputs = inputs.clone(memory_format=layout if inputs.dim() == 4 else torch.contiguous_format)
    for student, table in enumerate(cohort.table_index.tolist()):
        one = slice(student, student + 1)
        data = _Data(inputs, labels, cohort.targets[table])
        _load(network, {name: values[student] for name, values in initial.items()})
        network.train()
        optimiser = Optimiser(network.parameters(), options)
        for epoch in range(options.epochs):
            rows = cohort.rows_of(epoch)
            seen = data.take(None if rows is None else rows[student])
            loss = _train_epoch(network, optimiser, seen, cohort[one], options, epoch, rates[epoch])
            for name, values in _state(network, trained).items():
                trained[name][student].copy_(values)
            so_far = {name: values[one] for name, values in trained.items()}
            monitor.after_epochs(one, range(epoch, epoch + 1), so_far, loss.view(1, 1))
    return trained


def _train_epoch(
    network: nn.Module,
    optimiser: Optimiser,
    data: _Data,
    student: Cohort,
    options: TrainingOptions,
    epoch: int,
    rates: Sequence[float],
) -> Tensor:
    device, examples = data.inputs.device, len(data.inputs)
    order_seed, temperature, loss_of = student.order_seeds[0], student.temperature[0], batch_loss(student.loss)
    dropouts = dropout_layers(network)
    set_keys(dropouts, dropout_keys((order_seed,), device)[0])
    _seed_other_dropout(derive_seed(order_seed, "dropout", epoch), device)
    total = torch.zeros((), device=device)
    first_step = epoch * len(rates)
    batches = _batches(order_seed, epoch, examples, options.batch_size, device)
    for step, (rate, rows) in enumerate(zip(rates, batches, strict=True), start=first_step):
        batch = data.take(rows)
        set_step(dropouts, step)
        with forward_precision(device, options.precision):
            outputs = network(batch.inputs)
        mixing = student.mixing_at(step)[0]
        loss = loss_of(outputs.float(), batch.labels, batch.targets, mixing, temperature)
        network.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step([parameter.grad for parameter in optimiser.parameters], rate)
        total += loss.detach() * len(batch.inputs)
    return total / examples


def _batches(
    order_seed: int, epoch: int, examples: int, batch_size: int, device: torch.device
) -> Sequence[Tensor | None]:
    """Return the rows of each batch of an epoch; None stands for all examples in their own order."""
    if batch_size >= examples:
        return [None]
    order = torch.from_numpy(batch_orders((order_seed,), epoch, examples)[0]).to(device)
    return torch.split(order, batch_size)


def _memory_format(network: nn.Module) -> torch.memory_format:
    """Return how images lie in memory; only four-dimensional weights, those of 2d convolutions, are concerned."""
    convolutional = any(parameter.dim() == 4 for parameter in network.parameters())
    return torch.channels_last if convolutional else torch.contiguous_format


def _state(network: nn.Module, names: Container[str]) -> State:
    """Return the network's tensors of these names, which leave out what its dropout layers are given."""
    tensors = (*network.named_parameters(), *network.named_buffers())
    return {name: values.detach() for name, values in tensors if name in names}


def _load(network: nn.Module, state: State) -> None:
    with torch.no_grad():
        for name, values in _state(network, state).items():
            values.copy_(state[name])


def _seed_other_dropout(seed: int, device: torch.device) -> None:
    """Seed the global generators that other kinds of dropout draw from; the engine restores them afterwards."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
