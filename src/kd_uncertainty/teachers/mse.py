"""A teacher of squared errors: one network trained so that its softmax comes near the one-hot labels.

It minimises ``mean over examples and classes of (softmax(f(x))_k - 1[y = k])^2``, the Brier score divided by the number
of classes (Hamidi et al. 2024, "How to train the teacher model for effective knowledge distillation"). Both this loss
and cross-entropy are least at the Bayes probabilities; this one is bounded, so that single examples pull less. Its
logits are those before the softmax.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import one_hot

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.choice import BACKENDS, choose_backend
from kd_uncertainty.population.contract import Build, Cohort, Monitor, State, Trained, require_finite
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network
from kd_uncertainty.teachers import deep_ensemble
from kd_uncertainty.teachers._evaluation import validation_curves
from kd_uncertainty.teachers._fitting import _curves
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions

_NETWORK = "0."
"""How parameters' names begin in a network that a softmax follows."""


class Options(TeacherOptions):
    """No settings of its own."""

    kind: Literal["mse"] = "mse"

    @property
    def distinct_draws(self) -> int:
        """Every draw is the same."""
        return 1


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train one network by squared errors of its probabilities; the curves of validation are those of classes.

    The population engine trains it, as a network that ends in a softmax and has the loss "mse".

    Raises:
        UserError: for a task of numbers, or if the network cannot be trained.
    """
    if problem.loss == "mse":
        raise UserError(
            "teachers: kind: mse predicts classes, not numbers; use deterministic, which has that loss here"
        )
    network, training, device = problem.network, problem.training, problem.device
    plain = network_builder(network.class_path, network.arguments, problem.inputs.shape[1], problem.num_classes)
    build = partial(_with_softmax, plain)
    inputs = problem.inputs.to(device, torch.float32)
    values = one_hot(problem.labels, problem.num_classes).float().to(device)
    seeds = [derive_seed(seed, "initialisation", 0)], [derive_seed(seed, "order", 0)]  # those of ``fit_members``
    cohort = replace(Cohort.of_ensemble(values, *seeds), loss="mse").to(device)
    record = _Record(plain, problem, cohort)
    with (
        naming_the_network(network.class_path, "teachers", len(values), training),
        reproducible(device, training.precision),
    ):
        backend, _ = choose_backend(build, "auto", inputs, problem.num_classes, training, device, "mse")
        initial = initial_states(build, cohort.initialisation_seeds, device)
        train_cohort = BACKENDS[backend].train_cohort
        state = train_cohort(build, initial, inputs, values, cohort, training, Monitor(record.add, every_epoch=True))
    trained = Trained({name: one.detach().cpu() for name, one in _plain(state).items()}, *record.curves())
    return Fitted(trained.parameters, _curves(trained))


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Return the network's logits once for each draw, ``(draws, examples, classes)``."""
    return deep_ensemble.posterior_logits(teacher, inputs, draws, seed)


def _with_softmax(build: Build) -> nn.Module:
    return nn.Sequential(build(), nn.Softmax(dim=-1))


def _plain(state: State) -> State:
    """Return the tensors of the network without its softmax."""
    return {name.removeprefix(_NETWORK): values for name, values in state.items()}


class _Record:
    """Writes down losses, and the negative log-likelihood and accuracy of the validation split, epoch by epoch."""

    def __init__(self, build: Build, problem: Problem, cohort: Cohort) -> None:
        self.build, self.cohort = build, cohort
        self.inputs, self.labels = problem.validation_inputs, problem.validation_labels
        self.losses: list[Tensor] = []
        self.rows: list[dict[str, float]] = []

    def add(self, students: slice, epochs: range, state: State, losses: Tensor) -> None:
        require_finite(losses.cpu(), self.cohort, epochs)
        self.losses.append(losses.cpu())
        logits = predict(self.build, _plain(state), self.inputs)[0]
        self.rows.append(validation_curves(logits, self.labels))

    def curves(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Return losses (1, epochs), and the validation curves by name, likewise."""
        validation = {name: torch.tensor([[row[name] for row in self.rows]]) for name in self.rows[0]}
        return torch.cat(self.losses, dim=1), validation
