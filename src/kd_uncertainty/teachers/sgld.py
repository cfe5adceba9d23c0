"""Stochastic-gradient Langevin dynamics: chains whose weights visit the posterior (Welling & Teh 2011).

With U the negative log posterior (``_posterior``) and a step ``e``, a chain's weights w and velocity v move by

    v <- m v - e grad U(w; minibatch) + sqrt(2 (1 - m) e T) normals,        w <- w + v,

which is Langevin dynamics for a momentum ``m = 0`` (Welling & Teh 2011, "Bayesian learning via stochastic gradient
Langevin dynamics", equation 4, with e half of theirs), and otherwise stochastic-gradient Hamiltonian Monte Carlo (Chen,
Fox & Guestrin 2014, "Stochastic gradient Hamiltonian Monte Carlo", equation 15). T is the temperature; 1 is Bayes.

There is no rejection: what is visited is the posterior up to an error of the order of the step. Where U is quadratic
with curvature h and batches are full, variances are ``T / (h (1 - e h / (2 + 2 m)))`` rather than ``T / h``; the noise
of minibatches adds to that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import pandas as pd
import torch
from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator
from torch import Tensor

from kd_uncertainty.population.initialisation import reproducible
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network
from kd_uncertainty.teachers import deep_ensemble
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers._posterior import Curves, Likelihood, require_finite
from kd_uncertainty.teachers._vectors import Vectors
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """How many chains there are, how they move, and which weights are kept.

    Attributes:
        chains: chains; each starts from a network of its own, trained as any teacher's.
        samples: weight vectors kept, of all chains together.
        burn_in: epochs of each chain before the first is kept.
        thinning: epochs from one kept sample of a chain to the next.
        step_size: learning rate of the mean loss of an example; the step e is this by the number of training examples.
        schedule: "constant", or "cyclical" (Zhang et al. 2020, "Cyclical stochastic gradient MCMC", equation 1): the
            step falls from ``step_size`` to almost 0 along half a cosine before each kept sample, which takes the error
            of the step from the samples; burn-in is constant.
        momentum: 0 is Langevin dynamics, more is Hamiltonian.
        prior_std: of biases; weights of units with ``fan_in`` inputs have ``prior_std / sqrt(fan_in)``.
        temperature: of the posterior; below 1 it is sharpened.
        noise_std: of the numbers around the network's output, where numbers are predicted.
    """

    kind: Literal["sgld"] = "sgld"
    chains: PositiveInt = 4
    samples: PositiveInt = 64
    burn_in: NonNegativeInt = 60
    thinning: PositiveInt = 8
    step_size: PositiveFloat = 0.3
    schedule: Literal["constant", "cyclical"] = "cyclical"
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    prior_std: PositiveFloat = 2.0
    temperature: PositiveFloat = 1.0
    noise_std: PositiveFloat = 1.0

    @model_validator(mode="after")
    def _chains_share_the_samples(self) -> Self:
        if self.samples % self.chains:
            raise ValueError(
                f"samples must be a multiple of chains, as every chain keeps as many, not {self.samples} of "
                f"{self.chains} chains"
            )
        return self

    @property
    def distinct_draws(self) -> int:
        """One for each kept sample."""
        return self.samples


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train a network for each chain with ``problem.training``, then run the chains.

    Of ``problem.training``, the chains use the batch size and the precision; weight decay is left to the prior.

    Returns:
        The kept weights, (samples, ...) for each parameter, sample by sample and in each by chain; and curves of the
        training and, after it, of the chains.

    Raises:
        UserError: if the network cannot be built, has buffers or frozen parameters, fails, or a chain diverges.
    """
    vectors = Vectors.of_problem(problem, "sgld")
    start = fit_members(problem, problem.network.arguments, options.chains, seed)
    weights = vectors.flat(start.parameters).to(problem.device)
    where = problem.network.class_path
    kept, curves = [], [start.curves]
    with (
        naming_the_network(where, "teachers", len(problem.labels), problem.training),
        reproducible(problem.device, problem.training.precision),
    ):
        for chains in _chunks(problem, options.chains):
            samples, table = _run_chains(problem, vectors, weights[chains.start : chains.stop], options, seed, chains)
            kept.append(samples)
            curves.append(table)
    samples = torch.cat(kept, dim=1).flatten(0, 1).cpu()
    table = pd.concat(curves).sort_values(["member", "epoch"], ignore_index=True)
    return Fitted({name: values.contiguous() for name, values in vectors.state(samples).items()}, table)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw kept samples, ``(draws, examples, classes)``, in an order that the seed shuffles, none twice in a round."""
    return deep_ensemble.posterior_logits(teacher, inputs, draws, seed)


def _chunks(problem: Problem, chains: int) -> list[range]:
    """Return the chains to run at once; a chain does not depend on those beside it."""
    size = chains if problem.chunk_size == "auto" else problem.chunk_size
    return [range(first, min(first + size, chains)) for first in range(0, chains, size)]


def _run_chains(
    problem: Problem, vectors: Vectors, start: Tensor, options: Options, seed: int, chains: range
) -> tuple[Tensor, pd.DataFrame]:
    """Return the kept weights (samples of a chain, chains, size) and the curves of these chains."""
    seeds = [derive_seed(seed, "chain", chain) for chain in chains]
    likelihood = Likelihood(problem, vectors, [derive_seed(one, "order") for one in seeds], options.noise_std)
    curves = Curves(problem, vectors, after=problem.training.epochs)
    walk = _Walk(start, vectors.prior_std(options.prior_std), options, seeds)
    kept = []
    steps = step_sizes(options, math.ceil(likelihood.num_examples / problem.training.batch_size))
    for epoch, rates in enumerate(steps / likelihood.num_examples):
        total = torch.zeros(len(chains), device=start.device)
        for (slopes, examples), rate in zip(likelihood.epoch(epoch), rates.tolist(), strict=True):
            gradients, losses = slopes(walk.weights)
            walk.move(gradients.mul_(likelihood.num_examples), rate)
            total += losses * examples
        mean = total / likelihood.num_examples
        require_finite(mean, chains, "sgld", epoch, f"step_size (now {options.step_size:g})")
        curves.add(epoch, chains, mean, vectors.state(walk.weights))
        if epoch >= options.burn_in and (epoch - options.burn_in + 1) % options.thinning == 0:
            kept.append(walk.weights.clone())
    return torch.stack(kept), curves.table()


def step_sizes(options: Options, steps_per_epoch: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return the step size of every step of a chain, (epochs, steps of an epoch), for the mean loss of an example.

    Args:
        options: how the chains move.
        steps_per_epoch: minibatches of an epoch.
    """
    cycle = np.ones(options.thinning * steps_per_epoch)
    if options.schedule == "cyclical":
        cycle = (1 + np.cos(np.pi * np.arange(len(cycle)) / len(cycle))) / 2
    factors = np.concatenate(
        [np.ones(options.burn_in * steps_per_epoch), np.tile(cycle, options.samples // options.chains)]
    )
    return options.step_size * factors.reshape(-1, steps_per_epoch)


class _Walk:
    """Chains' weights and velocities, (chains, size), and the noise that moves them, each chain's its own."""

    def __init__(self, start: Tensor, prior_std: Tensor, options: Options, seeds: Sequence[int]) -> None:
        self.weights, self._velocity = start.clone(), torch.zeros_like(start)
        self._precision = prior_std.to(start.device) ** -2
        self._momentum, self._temperature = options.momentum, options.temperature
        # On the device, where as many numbers as weights are needed at every step.
        self._generators = [torch.Generator(start.device).manual_seed(derive_seed(one, "noise")) for one in seeds]
        self._noise = torch.empty_like(start)

    def move(self, gradients: Tensor, step: float) -> None:
        """Take one step; ``gradients`` (chains, size) are those of the likelihood's part of U, and are overwritten."""
        for row, generator in zip(self._noise, self._generators, strict=True):
            row.normal_(generator=generator)
        gradients.addcmul_(self.weights, self._precision)
        langevin_step(self.weights, self._velocity, gradients, self._noise, (step, self._momentum, self._temperature))


def langevin_step(
    weights: Tensor, velocity: Tensor, gradients: Tensor, noise: Tensor, settings: tuple[float, float, float]
) -> None:
    """Take one step in place; see above.

    Args:
        weights: (chains, size).
        velocity: (chains, size), 0 at first.
        gradients: (chains, size), of U.
        noise: (chains, size) standard normals.
        settings: step e, momentum m and temperature T.
    """
    step, momentum, temperature = settings
    velocity.mul_(momentum).add_(gradients, alpha=-step)
    velocity.add_(noise, alpha=math.sqrt(2 * (1 - momentum) * step * temperature))
    weights.add_(velocity)
