"""Mean-field variational inference: independent normal weights, as near the posterior as such can be.

The posterior is approximated by ``q(w) = prod_k N(w_k; mu_k, sigma_k^2)``, which minimises the negative evidence lower
bound by example,

    E_q[L(w)] + kl_weight KL(q || prior) / n,    KL = sum_k log(s_k / sigma_k) + (sigma_k^2 + mu_k^2) / (2 s_k^2) - 1/2,

with L and the prior ``N(0, s_k^2)`` of ``_posterior``. The expectation is taken over weights ``w = mu + sigma eps`` and
minibatches, both new at every step (Blundell et al. 2015, "Weight uncertainty in neural networks", section 3); the
divergence and its gradient are exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.optimisers import Optimiser
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.schedules import learning_rates, steps_per_epoch
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network
from kd_uncertainty.teachers._posterior import Curves, Likelihood, require_finite
from kd_uncertainty.teachers._vectors import Vectors, normals
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """The prior, and how the approximation is fitted.

    Attributes:
        epochs_factor: epochs are ``teachers.training.epochs`` times this; a distribution takes longer than a point.
        learning_rate: of Adam at first; it falls to 0 along half a cosine, and the noise of the gradients with it.
        prior_std: of biases; weights of units with ``fan_in`` inputs have ``prior_std / sqrt(fan_in)``.
        kl_weight: of the divergence from the prior; 1 is Bayes, less trusts the data more.
        samples: weight vectors at each step, each with a minibatch of its own.
        initial_std: of each weight, as a share of its prior standard deviation.
        noise_std: of the numbers around the network's output, where numbers are predicted.
    """

    kind: Literal["variational"] = "variational"
    epochs_factor: PositiveInt = 5
    learning_rate: PositiveFloat = 0.02
    prior_std: PositiveFloat = 3.0
    kl_weight: NonNegativeFloat = 1.0
    samples: PositiveInt = 4
    initial_std: Annotated[float, Field(gt=0.0, le=1.0)] = 0.03
    noise_std: PositiveFloat = 1.0


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Fit means and standard deviations of all weights by Adam.

    Of ``problem.training``, it uses the epochs, the batch size and the precision.

    Returns:
        ``mean`` and ``std`` (1, weights), in the order of ``_vectors``; the curves' validation is that of the mean.

    Raises:
        UserError: if the network cannot be built, has buffers or frozen parameters, fails, or training diverges.
    """
    vectors = Vectors.of_problem(problem, "variational")
    seeds = [derive_seed(seed, "order", sample) for sample in range(options.samples)]
    training = training_of(problem.training, options)
    with (
        naming_the_network(problem.network.class_path, "teachers", len(problem.labels), problem.training),
        reproducible(problem.device, problem.training.precision),
    ):
        start = initial_states(vectors.build, [derive_seed(seed, "initialisation", 0)], problem.device)
        approximation = _Approximation(vectors.flat(start)[0], vectors.prior_std(options.prior_std), options, training)
        likelihood = Likelihood(problem, vectors, seeds, options.noise_std)
        approximation.noise.manual_seed(derive_seed(seed, "noise"))
        curves = Curves(problem, vectors)
        steps = steps_per_epoch(training, likelihood.num_examples)
        rates = learning_rates(training, likelihood.num_examples).reshape(training.epochs, steps)
        for epoch in range(training.epochs):
            loss = approximation.train_epoch(likelihood, epoch, rates[epoch].tolist())
            require_finite(loss, [0], "variational", epoch, f"learning_rate (now {options.learning_rate:g})")
            curves.add(epoch, [0], loss, vectors.state(approximation.mean.unsqueeze(0)))
    mean, std = (values.cpu().unsqueeze(0) for values in (approximation.mean, approximation.log_std.exp()))
    return Fitted({"mean": mean, "std": std}, curves.table())


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw weights, and with each all examples' logits; draw ``j`` depends on ``(seed, j)`` alone.

    Returns:
        ``(draws, examples, classes)``.
    """
    mean, std = teacher.parameters["mean"][0], teacher.parameters["std"][0]
    weights = (mean + std * normals(seed, "weights", draw, len(mean), mean) for draw in draws)
    return Vectors.of_teacher(teacher).answers(weights, inputs)


def training_of(training: TrainingOptions, options: Options) -> TrainingOptions:
    """Return how the approximation is trained, where networks are trained as ``training`` says."""
    return TrainingOptions(
        epochs=training.epochs * options.epochs_factor,
        batch_size=training.batch_size,
        learning_rate=options.learning_rate,
        schedule="cosine",
        precision=training.precision,
    )


class _Approximation:
    """Means and logarithms of standard deviations of all weights, (size,), while they are fitted."""

    def __init__(self, start: Tensor, prior_std: Tensor, options: Options, training: TrainingOptions) -> None:
        prior_std = prior_std.to(start.device)
        self.mean = start.clone()
        self.log_std = (options.initial_std * prior_std).log()
        self.noise = torch.Generator(start.device)
        self._precision = prior_std**-2
        self._options = options
        self._optimiser = Optimiser([self.mean, self.log_std], training)

    def train_epoch(self, likelihood: Likelihood, epoch: int, rates: Sequence[float]) -> Tensor:
        """Go through the data once; returns the mean of L over weights and examples, (1,)."""
        total = torch.zeros(1, device=self.mean.device)
        for (slopes, examples), rate in zip(likelihood.epoch(epoch), rates, strict=True):
            normal = self.mean.new_empty((self._options.samples, len(self.mean)))
            normal.normal_(generator=self.noise)
            gradients, losses = slopes(self.mean + self.log_std.exp() * normal)
            share = self._options.kl_weight / likelihood.num_examples
            self._optimiser.step(self.gradients(gradients, normal, share), rate)
            total += losses.mean() * examples
        return total / likelihood.num_examples

    def gradients(self, slopes: Tensor, normal: Tensor, share: float) -> tuple[Tensor, Tensor]:
        """Return the gradients of the bound with respect to mean and log_std.

        Args:
            slopes: (samples, size), of L at ``mean + std normal``.
            normal: (samples, size).
            share: of the divergence in the bound.
        """
        std = self.log_std.exp()
        mean = slopes.mean(0) + share * self._precision * self.mean
        return mean, (slopes * normal).mean(0) * std + share * (self._precision * std.square() - 1)
