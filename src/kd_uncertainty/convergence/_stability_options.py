"""Options of the network experiment."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveInt, model_validator

from kd_uncertainty.convergence.arms import ArmBlock
from kd_uncertainty.convergence.noise import LEAST_EVALUATIONS, tail_length
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Options, Seed


class StabilityOptions(Options):
    """The population of the experiment; by default the paper's protocol."""

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [128, 128]})
    training: TrainingOptions = Field(
        TrainingOptions(epochs=2, batch_size=1, optimiser="sgd", learning_rate=5e-4, momentum=0.9),
        description="epochs are passes over the training split; the learning rate is constant",
    )
    arms: tuple[ArmBlock, ...] = Field(
        (
            ArmBlock(target="exact"),
            ArmBlock(target="dirichlet", levels=(0.5, 5.0)),
            ArmBlock(target="additive", levels=(0.01, 0.1)),
            ArmBlock(target="teacher"),
            ArmBlock(target="dirichlet", levels=(0.5,), mixing=(0.6,)),
        ),
        description="beside one-hot labels, which are always there to compare with",
    )
    num_seeds: Annotated[int, Field(ge=2)] = Field(8, description="students of an arm; fewer than 3 have no intervals")
    evaluations: PositiveInt = Field(10, description="evaluations on the validation split in a pass over the data")
    tail: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        0.5, description="share of all evaluations, the last ones, in which convergence noise is measured"
    )
    evaluation_examples: PositiveInt | None = Field(
        2000,
        description="validation examples that students are evaluated on along the way, at most; null: all. The fewer, "
        "the more the accuracy fluctuates by their number alone",
    )
    gradient_examples: PositiveInt | None = Field(
        2000, description="training examples over which the gradients' variance is taken, at most; null: all"
    )
    seed: Seed = 12

    @model_validator(mode="after")
    def _has_a_constant_rate(self) -> Self:
        if self.training.schedule != "constant" or self.training.warmup_epochs:
            raise ValueError("training: schedule must be constant, without warmup_epochs: arms share one rate")
        return self

    @model_validator(mode="after")
    def _has_enough_evaluations(self) -> Self:
        total = self.training.epochs * self.evaluations
        if tail_length(total, self.tail) < LEAST_EVALUATIONS:
            raise ValueError(
                f"the last {self.tail} of {total} evaluations (training.epochs x evaluations) are too few to measure "
                f"noise in, which takes {LEAST_EVALUATIONS}; raise evaluations or tail"
            )
        return self
