"""Options of the experiment on confidence."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.deviations.tables import DEFAULT_BINS
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty.students import MIN_STUDENTS


def _layers(*hidden: int) -> NetworkOptions:
    return NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": list(hidden)})


class ConfidenceOptions(Options):
    """Teachers, students and how all of them are trained."""

    teacher: NetworkOptions = _layers(128)
    students: dict[str, NetworkOptions] = Field(
        {"self": _layers(128), "smaller": _layers(64), "larger": _layers(256)},
        min_length=1,
        description="networks by name; the teacher's own is self-distillation, others are across architectures",
    )
    training: TrainingOptions = Field(
        TrainingOptions(epochs=80, batch_size=64, optimiser="adam", learning_rate=3e-3),
        description="of teachers, students and controls alike; long enough for the teacher to fit its training labels",
    )
    early_stop: PositiveInt = Field(
        5, description="epochs after which the teacher that does not interpolate is stopped"
    )
    temperatures: Distinct[PositiveFloat] = Field((1.0, 4.0), description="of the distillation")
    mixing: Annotated[float, Field(gt=0.0, le=1.0)] = Field(
        1.0, description="weight of the teacher's probabilities beside the data's labels"
    )
    num_seeds: Annotated[int, Field(ge=MIN_STUDENTS)] = Field(
        8, description="students of an arm, each with a teacher and a control of its own"
    )
    num_bins: PositiveInt = Field(DEFAULT_BINS, description="of the teacher's confidence")
    num_bootstrap: PositiveInt = Field(1000, description="replicates over arms of the correlation with the gain")
    seed: Seed = 13

    @model_validator(mode="after")
    def _stops_early(self) -> Self:
        if self.early_stop >= self.training.epochs:
            raise ValueError(
                f"early_stop ({self.early_stop}) must be fewer epochs than training.epochs ({self.training.epochs}), "
                "or both teachers are the same"
            )
        return self

    @model_validator(mode="after")
    def _has_a_schedule_for_both_teachers(self) -> Self:
        if self.training.schedule == "step" or self.training.warmup_epochs >= self.early_stop:
            raise ValueError(
                "training: both teachers are trained by it, so its schedule must be constant or cosine, and its "
                "warmup_epochs fewer than early_stop"
            )
        return self
