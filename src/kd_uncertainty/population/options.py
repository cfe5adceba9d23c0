"""Options of a training run."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Options

Precision = Literal["float32", "tf32", "bf16"]
"""What products of matrices are computed in; see ``precision``."""


class TrainingOptions(Options):
    """How one network is trained: minibatches in a seeded order, one optimiser, a schedule of its learning rate.

    ``schedule`` is "constant"; "step", which multiplies the rate by ``decay`` at the start of each of ``milestones``
    (epochs, counted from 0); or "cosine", which lets it fall to 0 along half a cosine. In the first ``warmup_epochs``
    it rises linearly instead. :func:`~kd_uncertainty.population.schedules.learning_rates` has the formulas.

    ``precision`` is that of the products in a network's forward and backward pass: "float32", "tf32" (float32 with
    inputs rounded to 10 bits of mantissa; GPUs only, on a CPU it is float32), or "bf16" (torch's autocast to bfloat16;
    the loss, parameters, optimiser and predictions stay float32). It changes results, so it stands here and not among
    the options of execution.
    """

    epochs: PositiveInt = 30
    batch_size: PositiveInt = 64
    optimiser: Literal["sgd", "adam", "adamw"] = "adam"
    learning_rate: PositiveFloat = 1e-3
    momentum: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.0
    weight_decay: Annotated[float, Field(ge=0.0)] = 0.0
    schedule: Literal["constant", "step", "cosine"] = "constant"
    milestones: tuple[PositiveInt, ...] = ()
    decay: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    warmup_epochs: NonNegativeInt = 0
    precision: Precision = "float32"

    @model_validator(mode="after")
    def _momentum_belongs_to_sgd(self) -> Self:
        if self.momentum and self.optimiser != "sgd":
            raise ValueError(f"momentum is an option of optimiser: sgd, not of {self.optimiser}; set it to 0")
        return self

    @model_validator(mode="after")
    def _milestones_belong_to_the_step_schedule(self) -> Self:
        if self.schedule == "step" and not self.milestones:
            raise ValueError("schedule: step needs milestones, the epochs at whose start the learning rate falls")
        if self.schedule != "step" and self.milestones:
            raise ValueError(f"milestones are an option of schedule: step, not of {self.schedule}; leave them out")
        if any(later <= earlier for earlier, later in pairwise(self.milestones)):
            raise ValueError(f"milestones must increase, unlike {list(self.milestones)}")
        if self.milestones and not self.warmup_epochs <= self.milestones[0] <= self.milestones[-1] < self.epochs:
            raise ValueError(
                f"milestones {list(self.milestones)} must lie after the {self.warmup_epochs} warmup_epochs and before "
                f"the end of the {self.epochs} epochs"
            )
        return self

    @model_validator(mode="after")
    def _warmup_ends(self) -> Self:
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be fewer than epochs ({self.epochs})")
        return self
