"""Options of a training run."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Options


class TrainingOptions(Options):
    """How one network is trained: minibatches in a seeded order, one optimiser, a constant step size."""

    epochs: PositiveInt = 30
    batch_size: PositiveInt = 64
    optimiser: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0

    @model_validator(mode="after")
    def _momentum_belongs_to_sgd(self) -> Self:
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(f"momentum is an option of optimiser: sgd, not of {self.optimiser}; set it to 0")
        return self
