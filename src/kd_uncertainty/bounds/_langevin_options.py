"""Options of the section on Langevin paths."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from kd_uncertainty.bounds._networks_options import Loss
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.typed import Distinct, Options, Seed

Role = Literal["teacher", "student"]

DECAY_STEPS = 10.0
"""Steps over which the step size of the largest decay halves."""


class LangevinFit(Options):
    """What a chain descends: the mean loss of the training labels, plus a regulariser."""

    temperature: PositiveFloat = Field(
        1.0, description="t; the loss is t^2 times the cross-entropy of softmax(logits / t)"
    )
    weight_decay: NonNegativeFloat = Field(0.001, description="l; the regulariser is l/2 times the squared parameters")


class LangevinBoundsOptions(Options):
    """Resampled training sets, chains of teacher and student on each, and what the bounds say about them.

    Chains of both are of one network, from one start, with one order of batches, and with equal steps and noise: laws
    of their paths have densities with regard to each other. What differs is the gradient.
    """

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [8]})
    teacher: LangevinFit = LangevinFit()
    student: LangevinFit = LangevinFit(temperature=1.1)
    num_steps: PositiveInt = Field(200, description="steps of a chain")
    batch_size: PositiveInt = Field(32, description="examples of a step; at most all of the training set")
    step_size: PositiveFloat = Field(0.2, description="eta_0, of the first step")
    step_decay: Annotated[float, Field(ge=0.0, le=1.0)] = Field(
        0.33, description="c; eta_t = eta_0 (1 + t / 10)^-c; 0: constant"
    )
    inverse_temperature: PositiveFloat = Field(
        2000.0, description="beta; each step adds noise of standard deviation sqrt(2 eta_t / beta)"
    )
    loss: Loss = Field("brier", description="on which gaps are measured, as in network_bounds")
    num_examples: Distinct[PositiveInt] = Field((50, 100, 200), description="sizes n of a training set")
    label_noise: Distinct[Annotated[float, Field(ge=0.0, lt=1.0)]] = Field(
        (0.1,), description="probability that a label is replaced by another class, each equally likely"
    )
    num_sets: Annotated[int, Field(ge=3)] = Field(24, description="training sets of each size")
    num_draws: PositiveInt = Field(4, description="chains of each algorithm on each training set")
    num_replacements: PositiveInt = Field(
        1, description="examples of each training set that are replaced, one at a time, to measure differences"
    )
    reference_points: PositiveInt = Field(8, description="inputs at which functions are compared")
    population_examples: PositiveInt | None = Field(
        1000, description="examples of the table that are the population, at most; null: all"
    )
    seed: Seed = 19

    @property
    def step_sizes(self) -> NDArray[np.float64]:
        """eta_t of every step."""
        return np.asarray(self.step_size * (1.0 + np.arange(self.num_steps) / DECAY_STEPS) ** -self.step_decay)

    def fit(self, role: Role) -> LangevinFit:
        """The teacher's or the student's."""
        return self.teacher if role == "teacher" else self.student
