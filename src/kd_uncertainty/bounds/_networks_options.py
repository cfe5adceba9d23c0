"""Options of the section on real networks."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Distinct, Options, Seed

Loss = Literal["brier", "zero_one"]


class KernelFit(Options):
    """A randomised learning algorithm: train a network, then add Gaussian noise to all of its parameters."""

    training: TrainingOptions
    noise: PositiveFloat = Field(0.1, description="standard deviation of the noise of each parameter")


class NetworkBoundsOptions(Options):
    """Resampled training sets, a teacher and a student on each, and what the bounds say about them.

    Teacher and student are of one network, from one start and with one order of batches: their kernels have densities
    with regard to each other in one space, and the divergence of their laws is finite.
    """

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [16]})
    teacher: KernelFit = KernelFit(training=TrainingOptions(epochs=30, batch_size=32, learning_rate=0.01))
    student: KernelFit = KernelFit(training=TrainingOptions(epochs=20, batch_size=32, learning_rate=0.01))
    loss: Loss = Field(
        "brier", description="half the Brier score, or the zero-one loss; both are from 0 to 1, which certifies"
    )
    num_examples: Distinct[PositiveInt] = Field((50, 100, 200, 400), description="sizes n of a training set")
    label_noise: Distinct[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        (0.1, 0.3), description="probability that a label is replaced by another class, each equally likely"
    )
    num_sets: Annotated[int, Field(ge=3)] = Field(32, description="training sets of each size")
    num_draws: PositiveInt = Field(4, description="draws of a kernel's noise for each training set")
    num_replacements: PositiveInt = Field(
        2, description="examples of each training set that are replaced, one at a time, to measure differences"
    )
    reference_points: PositiveInt = Field(8, description="inputs at which functions are compared")
    population_examples: PositiveInt | None = Field(
        2000, description="examples of the table that are the population, at most; null: all"
    )
    seed: Seed = 18
