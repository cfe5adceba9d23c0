"""Options of the regression study's chain: arms, students, and how much of the teachers is cached."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, PositiveFloat, PositiveInt, field_validator, model_validator

from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Options, Seed, Share

Item = TypeVar("Item")
NonEmpty = Annotated[tuple[Item, ...], Field(min_length=1)]

MOST_STUDENTS = 1_000_000
"""Students of one arm, so that a slip of the finger does not fill the memory with a plan."""


class ValueResponsesOptions(Options):
    """How much of every teacher's posterior is cached."""

    num_draws: PositiveInt = Field(64, description="posterior draws cached for each example, none twice")
    batch_size: PositiveInt = Field(1024, description="examples per streamed batch and Parquet row group")
    seed: Seed = 2


class ValueArmOptions(Options):
    """A block of arms: the product of its models, teachers, noises, numbers of responses and mixings."""

    model: NonEmpty[Literal["linear", "network"]] = ("linear", "network")
    target: Literal["noise", "posterior", "exact", "ground_truth"] = Field(
        description="noise: the teacher's mean plus Gaussian noise; posterior: its draws; exact: its mean; "
        "ground_truth: the data's own targets, no teacher"
    )
    teachers: NonEmpty[str] | None = Field(None, description="names; null means every teacher in the responses")
    noise: NonEmpty[PositiveFloat] | None = Field(
        None, description="variances of a noisy response, in Var(y_train); for target: noise, which needs it"
    )
    num_responses: NonEmpty[PositiveInt] = (1,)
    mixing: NonEmpty[Share] = Field((1.0,), description="weight of the teacher's target beside the data's own")

    @field_validator("model", "noise", "num_responses", "mixing", "teachers", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float | str) else value

    @model_validator(mode="after")
    def _fits_its_target(self) -> Self:
        if self.target == "noise" and self.noise is None:
            raise ValueError("target: noise needs noise, the variance of a response in Var(y_train), such as 0.5")
        if self.target != "noise" and self.noise is not None:
            raise ValueError(f"noise is that of target: noise, not of target: {self.target}; leave it out")
        if self.target in ("ground_truth", "exact") and set(self.num_responses) != {1}:
            raise ValueError(f"target: {self.target} uses no sampled responses, leave num_responses at 1")
        if self.target == "ground_truth" and self.teachers is not None:
            raise ValueError("target: ground_truth uses no teacher, leave teachers out")
        if self.target == "ground_truth" and set(self.mixing) != {1.0}:
            raise ValueError("target: ground_truth has nothing to mix, leave mixing at 1")
        return self


class ValueStudentsOptions(Options):
    """The population: arms crossed with response, initialisation and order seeds."""

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [16]})
    training: TrainingOptions = TrainingOptions(epochs=60, batch_size=64, learning_rate=0.01)
    arms: Annotated[tuple[ValueArmOptions, ...], Field(min_length=1)]
    response_seeds: PositiveInt = 8
    initialisation_seeds: PositiveInt = Field(3, description="of networks; a linear student has no initialisation")
    order_seeds: PositiveInt = Field(3, description="of networks; a linear student has no batches")
    linear_response_seeds: PositiveInt = Field(
        100, description="response seeds of linear students on noisy responses, which cost next to nothing"
    )
    seed: Seed = 3
    backend: Literal["auto", "native", "vmap", "loop"] = "auto"
    shard_size: PositiveInt = Field(72, description="networks saved together; the unit of work and of resumption")

    @model_validator(mode="after")
    def _can_be_planned(self) -> Self:
        networks = self.response_seeds * self.initialisation_seeds * self.order_seeds
        if max(networks, self.linear_response_seeds) > MOST_STUDENTS:
            raise ValueError(f"at most {MOST_STUDENTS:,} students of an arm can be planned; ask for fewer seeds")
        return self
