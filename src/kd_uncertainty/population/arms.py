"""Options of the arms of a classification study: one way each to train students."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, PositiveFloat, PositiveInt, field_validator, model_validator

from kd_uncertainty.loss_schedules import CONSTANT, canonical
from kd_uncertainty.typed import NonEmpty, Options, Share

TargetKind = Literal["one_hot", "label", "posterior", "exact"]
"""What a student is trained on: the data's own labels, sampled teacher labels, posterior draws, mean probabilities."""

Schedule = Annotated[str, AfterValidator(canonical)]


class ArmOptions(Options):
    """A block of arms: the product of its teachers, numbers of responses, mixings, temperatures and schedules."""

    target: TargetKind
    teachers: NonEmpty[str] | None = Field(None, description="names; null means every teacher in the responses")
    num_responses: NonEmpty[PositiveInt] = (1,)
    mixing: NonEmpty[Share] = Field((1.0,), description="weight of the teacher's target beside the data's labels")
    temperature: NonEmpty[PositiveFloat] = (1.0,)
    schedule: NonEmpty[Schedule] = Field(
        (CONSTANT,), description="constant; to_teacher@0.5: labels alone before that share of the steps; to_labels@0.5"
    )

    @field_validator("num_responses", "mixing", "temperature", "teachers", "schedule", mode="before")
    @classmethod
    def _one_is_a_list(cls, value: Any) -> Any:
        return (value,) if isinstance(value, int | float | str) else value

    @model_validator(mode="after")
    def _fits_its_target(self) -> Self:
        if self.target in ("one_hot", "label") and set(self.temperature) != {1.0}:
            raise ValueError(f"temperature softens probabilities; target: {self.target} has hard labels, leave it at 1")
        if self.target in ("one_hot", "exact") and set(self.num_responses) != {1}:
            raise ValueError(f"target: {self.target} uses no sampled responses, leave num_responses at 1")
        if self.target == "one_hot" and self.teachers is not None:
            raise ValueError("target: one_hot uses no teacher, leave teachers out")
        if self.target == "one_hot" and set(self.mixing) != {1.0}:
            raise ValueError("target: one_hot has nothing to mix, leave mixing at 1")
        if self.target == "one_hot" and set(self.schedule) != {CONSTANT}:
            raise ValueError("target: one_hot has no teacher to switch to or from, leave schedule at constant")
        if 0.0 in self.mixing and set(self.schedule) != {CONSTANT}:
            raise ValueError("mixing: 0 never learns from the teacher, so no schedule can switch; leave it at constant")
        return self
