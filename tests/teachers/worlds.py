"""Problems whose posteriors are known: Bayesian linear and logistic regression."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.teachers.contract import Problem

NOISE_STD, PRIOR_STD = 0.6, 0.2


def network(class_path: str) -> NetworkOptions:
    return NetworkOptions.model_validate({"class": class_path})


def linear_regression(training: TrainingOptions) -> Problem:
    """30 examples of two correlated inputs, and a linear network: weights (1, 2) and a bias.

    The prior says about as much as the data.
    """
    generator = np.random.default_rng(4)
    inputs = generator.normal(size=(40, 2)) @ [[1.0, 0.8], [0.0, 0.6]] + [0.3, 0.0]
    targets = inputs @ [0.5, -0.9] + 0.2 + NOISE_STD * generator.normal(size=40)
    inputs, targets = torch.from_numpy(inputs).float(), torch.from_numpy(targets).float()[:, None]
    return Problem(
        inputs=inputs[:30],
        labels=targets[:30],
        validation_inputs=inputs[30:],
        validation_labels=targets[30:],
        num_classes=1,
        network=network("torch.nn.Linear"),
        training=training,
        device=torch.device("cpu"),
        loss="mse",
    )


def exact_posterior(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Mean (3,) and precision (3, 3) of two weights and a bias, by the textbook."""
    design = np.column_stack([problem.inputs.double().numpy(), np.ones(len(problem.inputs))])
    prior = np.array([2.0, 2.0, 1.0]) / PRIOR_STD**2  # weights have two inputs: half the variance
    precision = design.T @ design / NOISE_STD**2 + np.diag(prior)
    mean = np.linalg.solve(precision, design.T @ problem.labels.double().numpy()[:, 0] / NOISE_STD**2)
    return mean, precision


def logistic_regression(training: TrainingOptions) -> Problem:
    """20 examples of one input, with the network :class:`Slope`: a posterior of a single weight, far from normal."""
    inputs = np.linspace(-1.0, 2.0, 20)
    labels = (inputs > np.tile([-0.4, 0.1], 10)).astype(np.int64)
    inputs, labels = torch.from_numpy(inputs).float()[:, None], torch.from_numpy(labels)
    return replace(
        linear_regression(training),
        inputs=inputs,
        labels=labels,
        validation_inputs=inputs,
        validation_labels=labels,
        num_classes=2,
        network=network(f"{__name__}.Slope"),
        loss="distillation",
    )


def log_likelihood(problem: Problem, slopes: np.ndarray) -> np.ndarray:
    """Of the network :class:`Slope`, (...) for slopes (...)."""
    signs = 2.0 * problem.labels.numpy() - 1
    return -np.logaddexp(0, -slopes[..., None] * signs * problem.inputs.double().numpy()[:, 0]).sum(-1)


class Slope(nn.Module):
    """Logits (0, w x): one weight, and no stack of layers, so that gradients take the general way."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        assert (num_inputs, num_classes) == (1, 2)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, inputs: Tensor) -> Tensor:
        return torch.cat([torch.zeros_like(inputs), inputs * self.weight], dim=1)


class Frozen(nn.Linear):
    """A linear layer whose bias is not trained."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__(num_inputs, num_classes)
        self.bias.requires_grad_(False)


class Residual(nn.Module):
    """No stack of layers: a hidden layer beside a direct path."""

    def __init__(self, num_inputs: int, num_classes: int) -> None:
        super().__init__()
        self.hidden, self.out = nn.Linear(num_inputs, 4), nn.Linear(4, num_classes)
        self.direct = nn.Linear(num_inputs, num_classes, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.out(torch.tanh(self.hidden(inputs))) + self.direct(inputs)
