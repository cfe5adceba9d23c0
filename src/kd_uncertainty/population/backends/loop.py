"""The reference backend: one ordinary network after another, with torch's own optimiser."""

from __future__ import annotations

import torch
from torch import Tensor

from kd_uncertainty.population.contract import AfterEpoch, Build, Cohort, State
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.optimisers import make_optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_order, derive_seed


def train_cohort(
    build: Build,
    initial: State,
    inputs: Tensor,
    labels: Tensor,
    cohort: Cohort,
    options: TrainingOptions,
    after_epoch: AfterEpoch,
) -> State:
    """Train every student of the cohort and return their stacked state.

    Args:
        build: builds one network.
        initial: the students' initial parameters and buffers, stacked (students, ...), on the device to train on.
        inputs: (examples, features) float32, on the device.
        labels: (examples,) int64, on the device.
        cohort: the students, on the device.
        options: how to train.
        after_epoch: called after every epoch of every student.
    """
    network = build().to(inputs.device)
    trained = {name: values.clone() for name, values in initial.items()}
    for student in range(len(cohort)):
        _load(network, {name: values[student] for name, values in initial.items()})
        network.train()
        optimiser = make_optimiser(network.parameters(), options)
        one = slice(student, student + 1)
        for epoch in range(options.epochs):
            loss = _train_epoch(network, optimiser, inputs, labels, cohort[one], options.batch_size, epoch)
            for name, values in _state(network).items():
                trained[name][student].copy_(values)
            after_epoch(one, epoch, {name: values[one] for name, values in trained.items()}, loss)
    return trained


def _train_epoch(
    network: torch.nn.Module,
    optimiser: torch.optim.Optimizer,
    inputs: Tensor,
    labels: Tensor,
    student: Cohort,
    batch_size: int,
    epoch: int,
) -> Tensor:
    order_seed = student.order_seeds[0]
    _seed_dropout(derive_seed(order_seed, "dropout", epoch), inputs.device)
    order = torch.from_numpy(batch_order(order_seed, epoch, len(inputs)).copy()).to(inputs.device)
    targets, mixing, temperature = student.targets[0], student.mixing[0], student.temperature[0]
    total = torch.zeros((), device=inputs.device)
    for batch in torch.split(order, batch_size):
        loss = distillation_loss(network(inputs[batch]), labels[batch], targets[batch], mixing, temperature)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        total += loss.detach() * len(batch)
    return (total / len(inputs)).unsqueeze(0)


def _state(network: torch.nn.Module) -> State:
    return {name: values.detach() for name, values in (*network.named_parameters(), *network.named_buffers())}


def _load(network: torch.nn.Module, state: State) -> None:
    with torch.no_grad():
        for name, values in _state(network).items():
            values.copy_(state[name])


def _seed_dropout(seed: int, device: torch.device) -> None:
    """Seed the global generators that dropout draws from; the engine restores them afterwards."""
    torch.default_generator.manual_seed(seed)
    if device.type == "cuda":
        torch.cuda.manual_seed(seed)
