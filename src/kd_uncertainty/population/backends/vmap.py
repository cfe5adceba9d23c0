"""The vectorised backend: all students as one batched program over stacked parameters.

Stacks of Linear layers, elementwise functions and dropout are computed so that each student is equal to the loop bit
for bit (float32, CPU, one intra-op thread; see ``stacked``). Networks in general go through ``torch.func.vmap`` of
``torch.func.grad``, on a GPU only: on the CPU a student's bits would depend on how many are trained beside it.
Everything else in a step is elementwise, or a reduction that never crosses the students axis.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap

from kd_uncertainty.population.backends.program import Batches, Gradients, Program, mode_on
from kd_uncertainty.population.backends.stacked import is_stack, stacked_forward
from kd_uncertainty.population.contract import Build, Cohort, Facts, Loss, Monitor, State
from kd_uncertainty.population.dropout import (
    dropout_keys,
    dropout_layers,
    named_keys,
    set_keys,
    with_counter_dropout,
)
from kd_uncertainty.population.losses import batch_loss
from kd_uncertainty.population.options import Precision, TrainingOptions
from kd_uncertainty.population.precision import forward_precision


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
    """Train all students at once; see :class:`~kd_uncertainty.population.contract.TrainCohort`.

    On a GPU a step is captured as a CUDA graph, one for each batch shape, and an epoch replays them.
    """
    state = {name: values.clone() for name, values in initial.items()}
    network = with_counter_dropout(build()).to(inputs.device).train()
    keys = dropout_keys(cohort.order_seeds, inputs.device)
    gradients_and_losses = make_step(network, cohort.loss, keys, options.precision)
    batches = Batches(inputs, labels, cohort, options.batch_size)
    mode = mode_on(inputs.device)
    Program(gradients_and_losses, state, batches, dropout_layers(network), options, mode).run(monitor)
    return state


def obstacle(network: nn.Module, facts: Facts) -> str | None:
    """Return why the students cannot be trained so, if they cannot.

    It may be for state or randomness that torch.func does not carry (dropout other than ``nn.Dropout``, batch
    normalisation, any buffers, and frozen parameters), or, on the CPU, because a student would depend on the others.
    """
    if (clause := _what_torch_func_does_not_carry(network)) or facts.device.type != "cpu":
        return clause
    if facts.options.precision == "bf16":
        return "vmap does not take bf16 on the CPU"
    if not is_stack(network):
        return "vmap on the CPU takes Linear layers, elementwise activations and dropout, one after another, only"
    return None


def _what_torch_func_does_not_carry(network: nn.Module) -> str | None:
    for module in network.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd) and type(module) is not nn.Dropout and module.p > 0:
            return f"the network has dropout of another kind ({type(module).__name__})"
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            return "the network has batch normalisation"
    if not all(parameter.requires_grad for parameter in network.parameters()):
        return "the network has frozen parameters"
    return "the network has buffers" if any(True for _ in network.buffers()) else None


def make_step(network: nn.Module, loss: Loss, keys: Tensor, precision: Precision = "float32") -> Gradients:
    """Return the function from stacked state and stacked batches to (gradients by name, losses (students,)).

    The network's dropout masks are those of the keys (students,); their step is set from outside.
    """
    forward, loss_of = stacked_forward(network), batch_loss(loss)
    if forward is None or precision == "bf16":  # what the stacks take pains for is the bits of float32
        return _make_vmap_step(network, loss, keys, precision)
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


def _make_vmap_step(network: nn.Module, loss: Loss, keys: Tensor, precision: Precision = "float32") -> Gradients:
    loss_of, buffers = batch_loss(loss), named_keys(dropout_layers(network), keys)

    def loss_of_one(state: State, own: State, inputs: Tensor, *batch: Tensor) -> Tensor:
        with forward_precision(inputs.device, precision):
            outputs = functional_call(network, (state, own), (inputs,))
        return loss_of(outputs.float(), *batch)

    gradients_and_losses = vmap(grad_and_value(loss_of_one))

    def step(state: State, *batch: Tensor) -> tuple[State, Tensor]:
        result: tuple[State, Tensor] = gradients_and_losses(state, buffers, *batch)
        return result

    return step
