"""The vectorised backend: all students as one batched program over stacked parameters.

Networks in general go through ``torch.func.vmap`` of ``torch.func.grad``. Stacks of Linear layers take a shorter way
to the same result, which is equal to the loop bit for bit (float32, CPU, one intra-op thread; see ``stacked``).
Everything else in a step is elementwise, or a reduction that never crosses the students axis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from kd_uncertainty.population.backends.stacked import aligned, stacked_forward
from kd_uncertainty.population.contract import Build, Cohort, Facts, Loss, Monitor, State
from kd_uncertainty.population.dropout import (
    dropout_keys,
    dropout_layers,
    named_keys,
    set_keys,
    set_step,
    with_counter_dropout,
)
from kd_uncertainty.population.losses import batch_loss
from kd_uncertainty.population.optimisers import Optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.schedules import learning_rates
from kd_uncertainty.population.seeds import batch_orders

Step = Callable[[State, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[State, Tensor]]
Batch = tuple[Tensor, Tensor, Tensor]
"""Inputs, labels and targets, each (students, examples of the batch, ...)."""


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
    """Train all students at once; see :class:`~kd_uncertainty.population.contract.TrainCohort`."""
    state = {name: values.clone() for name, values in initial.items()}
    optimiser = Optimiser(state.values(), options)
    network = with_counter_dropout(build()).to(inputs.device).train()
    dropouts = dropout_layers(network)
    gradients_and_losses = make_step(network, cohort.loss, dropout_keys(cohort.order_seeds, inputs.device))
    rates = learning_rates(options, len(inputs)).reshape(options.epochs, -1).tolist()
    batches = _whole(inputs, labels, cohort) if options.batch_size >= len(inputs) else None
    students = len(cohort)
    for epoch in range(options.epochs):
        total = torch.zeros(students, device=inputs.device)
        first_step = epoch * len(rates[epoch])
        taken = batches or _batches(inputs, labels, cohort, epoch, options.batch_size)
        for step, (rate, batch) in enumerate(zip(rates[epoch], taken, strict=True), start=first_step):
            set_step(dropouts, step)
            gradients, losses = gradients_and_losses(state, *batch, cohort.mixing_at(step), cohort.temperature)
            optimiser.step([gradients[name] for name in state], rate)
            total += losses * batch[0].shape[1]
        losses = (total / len(inputs)).unsqueeze(1)
        monitor.after_epochs(slice(0, students), range(epoch, epoch + 1), state, losses)
    return state


def obstacle(network: nn.Module, facts: Facts) -> str | None:
    """Return why the students cannot be trained so, if they cannot: state or randomness that torch.func does not carry.

    These are dropout other than ``nn.Dropout``, batch normalisation, any buffers, and frozen parameters.
    """
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and type(module) is not nn.Dropout and module.p > 0:
            return f"the network has dropout of another kind ({type(module).__name__})"
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return "the network has batch normalisation"
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "the network has frozen parameters"
    return "the network has buffers" if any(True for _ in network.buffers()) else None


def make_step(network: nn.Module, loss: Loss, keys: Tensor) -> Step:
    """Return the function from stacked state and stacked batches to (gradients by name, losses (students,)).

    The network's dropout masks are those of the keys (students,); their step is set from outside.
    """
    forward, loss_of = stacked_forward(network), batch_loss(loss)
    if forward is None:
        return _make_vmap_step(network, loss, keys)
    set_keys(dropout_layers(network), keys)

    def step(
        state: State, inputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor
    ) -> tuple[State, Tensor]:
        leaves = {name: values.detach().requires_grad_() for name, values in state.items()}
        losses = loss_of(forward(leaves, inputs), labels, targets, mixing, temperature)
        # Each loss depends on its own student's parameters only, so the gradient of all is the gradient of each.
        gradients = torch.autograd.grad(losses, list(leaves.values()), torch.ones_like(losses))
        return dict(zip(leaves, gradients, strict=True)), losses.detach()

    return step


def _make_vmap_step(network: nn.Module, loss: Loss, keys: Tensor) -> Step:
    loss_of, buffers = batch_loss(loss), named_keys(dropout_layers(network), keys)

    def loss_of_one(state: State, own: State, inputs: Tensor, *batch: Tensor) -> Tensor:
        return loss_of(functional_call(network, (state, own), (inputs,)), *batch)

    gradients_and_losses = vmap(grad_and_value(loss_of_one))

    def step(state: State, *batch: Tensor) -> tuple[State, Tensor]:
        result: tuple[State, Tensor] = gradients_and_losses(state, buffers, *batch)
        return result

    return step


def _whole(inputs: Tensor, labels: Tensor, cohort: Cohort) -> list[Batch]:
    """Return the one batch of all examples in their own order, laid out once for the whole training."""
    students = len(cohort)
    stack = inputs.expand(students, *inputs.shape)
    targets = cohort.targets.index_select(0, cohort.table_index)
    return [(aligned(stack) if inputs.dim() == 2 else stack, labels.expand(students, *labels.shape), targets)]


def _batches(inputs: Tensor, labels: Tensor, cohort: Cohort, epoch: int, batch_size: int) -> Iterable[Batch]:
    """Yield the epoch's batches, every student's in its own order."""
    students, outputs = len(cohort), cohort.targets.shape[-1]
    targets = cohort.targets.reshape(-1, outputs)  # one flat table, so that a single gather serves all students
    for batch in torch.split(_rows(cohort, epoch, len(inputs), inputs.device), batch_size, dim=-1):
        rows, places = batch[0].reshape(-1), batch[1].reshape(-1)
        yield (
            inputs.index_select(0, rows).view(students, -1, *inputs.shape[1:]),
            labels.index_select(0, rows).view(students, -1, *labels.shape[1:]),
            targets.index_select(0, places).view(students, -1, outputs),
        )


def _rows(cohort: Cohort, epoch: int, examples: int, device: torch.device) -> Tensor:
    """Return the epoch's order for each student, (2, students, examples): rows of the inputs, and of flat targets."""
    orders = torch.from_numpy(batch_orders(cohort.order_seeds, epoch, examples)).to(device)
    return torch.stack([orders, orders + examples * cohort.table_index.unsqueeze(1)])
