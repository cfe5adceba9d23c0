"""A teacher of maximum conditional mutual information: its outputs are spread within each class on purpose.

Ye, Hamidi, Tan & Yang 2024, "Bayes conditional distribution estimation for knowledge distillation based on conditional
mutual information" (ICLR): a network that is trained already goes on with the objective

    CE - weight * CMI,    CMI = mean over examples of KL(P_x || Q_y(x)),

with the network's probabilities ``P_x`` of example x, and the centroid ``Q_y`` of its class: the mean of P over the
training examples labelled y. CMI estimates ``I(X; prediction | Y)`` in nats, what the output says of an example beyond
its class. The two are optimised in turn: centroids at the start of each epoch, weights against fixed centroids during
it. The defaults are those of the authors' published scripts: 20 epochs, weight 0.25, half the learning rate of
training, falling to 0 along half a cosine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import pandas as pd
import torch
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, one_hot

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import State
from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.optimisers import Optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.precision import forward_precision
from kd_uncertainty.population.prediction import BATCH_SIZE
from kd_uncertainty.population.schedules import learning_rates
from kd_uncertainty.population.seeds import batch_orders, derive_seed
from kd_uncertainty.population.training import naming_the_network
from kd_uncertainty.teachers import deep_ensemble
from kd_uncertainty.teachers._evaluation import validation_curves
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions

_SHARE_OF_RATE = 0.5
"""Learning rate of fine-tuning, as a share of that of training, where none is given."""


class Options(TeacherOptions):
    """How the trained network goes on.

    Attributes:
        weight: of CMI in nats beside the cross-entropy; 0 is plain fine-tuning.
        epochs: of fine-tuning.
        learning_rate: at its start; None is half of the training's.
    """

    kind: Literal["mcmi"] = "mcmi"
    weight: Annotated[float, Field(ge=0.0)] = 0.25
    epochs: PositiveInt = 20
    learning_rate: PositiveFloat | None = None

    @property
    def distinct_draws(self) -> int:
        """Every draw is the same."""
        return 1


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train one network on the labels, then fine-tune it; the curves go on, with the objective as training loss.

    Raises:
        UserError: for a task of numbers, or if the network cannot be trained or diverges.
    """
    if problem.loss == "mse":
        raise UserError("teachers: kind: mcmi predicts classes, not numbers; use another kind")
    trained = fit_members(problem, problem.network.arguments, 1, seed)
    given, device, path = problem.network, problem.device, problem.network.class_path
    build = network_builder(path, given.arguments, problem.inputs.shape[1], problem.num_classes)
    training = tuning_options(problem.training, options)
    rows: list[dict[str, float]] = []

    def after_epoch(network: nn.Module, loss: float) -> None:
        logits = logits_of(network, problem.validation_inputs.to(device))
        rows.append({"train_loss": loss, **validation_curves(logits, problem.validation_labels)})

    with naming_the_network(path, "teachers", len(problem.inputs), training), reproducible(device, training.precision):
        network = _load(build().to(device), {name: values[0] for name, values in trained.parameters.items()})
        inputs, labels = problem.inputs.to(device, copy=True), problem.labels.to(device)
        fine_tune(network, inputs, labels, training, options.weight, derive_seed(seed, "fine-tuning"), after_epoch)
    parameters = {name: values.detach().cpu().unsqueeze(0) for name, values in _tensors(network).items()}
    first = problem.training.epochs + 1
    tuned = pd.DataFrame(rows).assign(member=0, epoch=range(first, first + len(rows)))
    return Fitted(parameters, pd.concat([trained.curves, tuned[trained.curves.columns]], ignore_index=True))


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Return the network's logits once for each draw, ``(draws, examples, classes)``."""
    return deep_ensemble.posterior_logits(teacher, inputs, draws, seed)


def centroids(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the mean probabilities of each class's examples, (classes, classes); 0 for a class without any.

    Args:
        logits: (examples, classes).
        labels: (examples,).
    """
    members = one_hot(labels, logits.shape[-1]).to(logits.dtype)
    return members.T @ torch.softmax(logits, dim=-1) / members.sum(0).clamp_min(1.0).unsqueeze(-1)


def conditional_mutual_information(logits: Tensor, labels: Tensor, means: Tensor) -> Tensor:
    """Return the mean of ``KL(P_x || Q_y(x))`` in nats, a number; differentiable in the logits.

    Args:
        logits: (examples, classes), of P.
        labels: (examples,), y.
        means: (classes, classes), the centroids Q, which stay fixed.
    """
    log_p = torch.log_softmax(logits, dim=-1)
    log_q = means.clamp_min(torch.finfo(means.dtype).tiny).log()[labels]
    return (log_p.exp() * (log_p - log_q)).sum(-1).mean()


def objective(logits: Tensor, labels: Tensor, means: Tensor, weight: float) -> Tensor:
    """Return ``CE - weight * CMI`` of a batch in nats, a number."""
    return cross_entropy(logits, labels) - weight * conditional_mutual_information(logits, labels, means)


def tuning_options(training: TrainingOptions, options: Options) -> TrainingOptions:
    """Return how the fine-tuning is done: as the training was, but for epochs, rate and schedule."""
    rate = options.learning_rate or _SHARE_OF_RATE * training.learning_rate
    fields = {
        "epochs": options.epochs,
        "learning_rate": rate,
        "schedule": "cosine",
        "milestones": (),
        "warmup_epochs": 0,
    }
    return TrainingOptions.model_validate(training.model_dump() | fields)


def fine_tune(
    network: nn.Module,
    inputs: Tensor,
    labels: Tensor,
    training: TrainingOptions,
    weight: float,
    order_seed: int,
    after_epoch: Callable[[nn.Module, float], None] = lambda network, loss: None,
) -> None:
    """Minimise :func:`objective` from where the network is, in place.

    Args:
        network: on the device of the data.
        inputs: (examples, features).
        labels: (examples,).
        training: epochs, batch size, optimiser and schedule.
        weight: of CMI.
        order_seed: of the batches, as the population engine orders them, and of dropout.
        after_epoch: called with the network and the epoch's mean objective.

    Raises:
        UserError: if the objective is not finite.
    """
    optimiser = Optimiser(network.parameters(), training)
    rates = learning_rates(training, len(inputs)).reshape(training.epochs, -1)
    for epoch in range(training.epochs):
        means = centroids(logits_of(network, inputs), labels)
        torch.manual_seed(derive_seed(order_seed, "dropout", epoch))
        network.train()
        total = 0.0
        for rate, rows in zip(rates[epoch].tolist(), _batches(order_seed, epoch, inputs, training), strict=True):
            with forward_precision(inputs.device, training.precision):
                logits = network(inputs[rows])
            loss = objective(logits.float(), labels[rows], means, weight)
            network.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step([parameter.grad for parameter in optimiser.parameters], rate)
            total += float(loss.detach()) * len(rows) / len(inputs)
        if not torch.isfinite(torch.tensor(total)):
            raise UserError(
                f"teachers: kind: mcmi: the objective became {total} in epoch {epoch + 1} of fine-tuning; set a "
                "smaller weight or learning_rate"
            )
        after_epoch(network, total)


def logits_of(network: nn.Module, inputs: Tensor) -> Tensor:
    """Return the network's logits (examples, classes) in evaluation mode, which it then is in."""
    network.eval()
    with torch.no_grad():
        return torch.cat([network(batch) for batch in torch.split(inputs, BATCH_SIZE)])


def _batches(order_seed: int, epoch: int, inputs: Tensor, training: TrainingOptions) -> Sequence[Tensor]:
    if training.batch_size >= len(inputs):
        return [torch.arange(len(inputs), device=inputs.device)]
    order = torch.from_numpy(batch_orders((order_seed,), epoch, len(inputs))[0]).to(inputs.device)
    return torch.split(order, training.batch_size)


def _tensors(network: nn.Module) -> State:
    return {name: values.detach() for name, values in (*network.named_parameters(), *network.named_buffers())}


def _load(network: nn.Module, state: State) -> nn.Module:
    for name, values in _tensors(network).items():
        values.copy_(state[name])
    return network
