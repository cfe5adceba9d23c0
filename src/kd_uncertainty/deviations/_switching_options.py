"""Options of the loss-switching experiment."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, PositiveFloat

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Distinct, Options, Seed, Share


def _constant(training: TrainingOptions) -> TrainingOptions:
    if training.schedule != "constant" or training.warmup_epochs:
        raise ValueError("schedule must be constant, without warmup_epochs: stopping early must not change the steps")
    return training


Stoppable = Annotated[TrainingOptions, AfterValidator(_constant)]
"""Training whose first epochs are the same however many follow."""


class TeacherFit(Options):
    """The network of both teachers, who differ in the epoch at which they stop alone."""

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [256]})
    training: Stoppable = Field(
        TrainingOptions(epochs=200, batch_size=64, learning_rate=0.003), description="epochs: at most"
    )
    interpolation: Annotated[Share, Field(gt=0.0)] = Field(
        1.0, description="accuracy on its own training labels, noise included, at which a teacher interpolates"
    )


class StudentFit(Options):
    """The students' network and training, the same for all schedules."""

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [32]})
    training: Stoppable = TrainingOptions(epochs=40, batch_size=64, learning_rate=0.01)


class SwitchingOptions(Options):
    """The population: two constant schedules and two that switch, for both teachers."""

    teacher: TeacherFit = TeacherFit()
    student: StudentFit = StudentFit()
    temperature: PositiveFloat = Field(4.0, description="of distillation, of targets and students alike")
    fractions: Distinct[Share] = Field(
        (0.25, 0.5, 0.75), description="shares of the optimiser steps after which the loss switches"
    )
    num_seeds: Annotated[int, Field(ge=2)] = Field(16, description="students of each schedule")
    seed: Seed = 14
