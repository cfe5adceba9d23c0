"""The vectorised backend: all students as one batched program over stacked parameters.

Networks in general go through ``torch.func.vmap`` of ``torch.func.grad``. Stacks of Linear layers take a shorter way
to the same result, which is equal to the loop bit for bit (float32, CPU, one intra-op thread; see ``stacked``).
Everything else in a step is elementwise, or a reduction that never crosses the students axis.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from kd_uncertainty.population.backends.stacked import stacked_forward
from kd_uncertainty.population.contract import AfterEpoch, Build, Cohort, State
from kd_uncertainty.population.losses import distillation_loss
from kd_uncertainty.population.optimisers import make_optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.seeds import batch_order

Step = Callable[[State, Tensor, Tensor, Tensor, Tensor, Tensor], tuple[State, Tensor]]


def train_cohort(
    build: Build,
    initial: State,
    inputs: Tensor,
    labels: Tensor,
    cohort: Cohort,
    options: TrainingOptions,
    after_epoch: AfterEpoch,
) -> State:
    """Train every student of the cohort at once and return their stacked state; arguments as in the loop backend."""
    state = {name: values.clone() for name, values in initial.items()}
    optimiser = make_optimiser(state.values(), options)
    gradients_and_losses = make_step(build().to(inputs.device).train())
    # One flat table, so that a single gather serves all students.
    students, classes = len(cohort), cohort.targets.shape[-1]
    targets = cohort.targets.reshape(-1, classes)
    for epoch in range(options.epochs):
        total = torch.zeros(students, device=inputs.device)
        for batch in _batches(cohort, epoch, len(inputs), options.batch_size, inputs.device):
            size = batch.shape[-1]
            rows = batch[0].reshape(-1)
            gradients, losses = gradients_and_losses(
                state,
                inputs.index_select(0, rows).view(students, size, *inputs.shape[1:]),
                labels.index_select(0, rows).view(students, size),
                targets.index_select(0, batch[1].reshape(-1)).view(students, size, classes),
                cohort.mixing,
                cohort.temperature,
            )
            for name, values in state.items():
                values.grad = gradients[name]
            optimiser.step()
            total += losses * size
        after_epoch(slice(0, students), epoch, state, total / len(inputs))
    return state


def make_step(network: nn.Module) -> Step:
    """Return the function from stacked state and stacked batches to (gradients by name, losses (students,))."""
    forward = stacked_forward(network)
    if forward is None:
        return _make_vmap_step(network)

    def step(
        state: State, inputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor
    ) -> tuple[State, Tensor]:
        leaves = {name: values.detach().requires_grad_() for name, values in state.items()}
        losses = distillation_loss(forward(leaves, inputs), labels, targets, mixing, temperature)
        # Each loss depends on its own student's parameters only, so the gradient of all is the gradient of each.
        gradients = torch.autograd.grad(losses, list(leaves.values()), torch.ones_like(losses))
        return dict(zip(leaves, gradients, strict=True)), losses.detach()

    return step


def _make_vmap_step(network: nn.Module) -> Step:
    def loss(
        state: State, inputs: Tensor, labels: Tensor, targets: Tensor, mixing: Tensor, temperature: Tensor
    ) -> Tensor:
        return distillation_loss(functional_call(network, state, (inputs,)), labels, targets, mixing, temperature)

    step: Step = vmap(grad_and_value(loss))
    return step


def _batches(cohort: Cohort, epoch: int, num_examples: int, batch_size: int, device: torch.device) -> list[Tensor]:
    """Return the epoch's batches, each (2, students, size): rows of the inputs, and rows of the flat targets."""
    students = len(cohort)
    orders = torch.empty((2, students, num_examples), dtype=torch.int64)
    for student, seed in enumerate(cohort.order_seeds):
        orders[0, student] = torch.from_numpy(batch_order(seed, epoch, num_examples).copy())
    orders[1] = orders[0] + num_examples * torch.arange(students).unsqueeze(1)
    return [batch.contiguous() for batch in torch.split(orders.to(device), batch_size, dim=-1)]
