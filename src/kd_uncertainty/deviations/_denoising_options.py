"""Options of the section on gradient denoising."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Distinct, Options, Seed
from kd_uncertainty.uncertainty.students import MIN_STUDENTS

Signal = Literal["top", "spread"]
"""Where class weights live: in the top covariance block alone, or in all directions alike."""

Similarity = Annotated[float, Field(ge=0.0, lt=1.0)]


class DenoisingOptions(Options):
    """The tasks, the teachers' and students' training, and when they are looked at."""

    signals: Distinct[Signal] = Field(("top", "spread"), description="where class weights live")
    similarities: Distinct[Similarity] = Field(
        (0.0, 0.4, 0.8),
        description="cosine of the weight vectors of two classes of a group; changes are from the first",
    )
    num_groups: PositiveInt = Field(3, description="of similar classes")
    group_size: PositiveInt = Field(3, description="classes of a group")
    num_examples: PositiveInt = Field(200, description="training examples; fewer than inputs can be memorised")
    top_size: PositiveInt = Field(12, description="inputs of the top block")
    tail_size: PositiveInt = Field(288, description="inputs of the tail")
    top_variance: PositiveFloat = 1.0
    tail_variance: PositiveFloat = 0.1
    logit_deviation: PositiveFloat = Field(
        4.0, description="standard deviation of each true logit over the inputs; the larger, the surer the labels"
    )
    learning_rate: Annotated[float, Field(gt=0.0, lt=2.0)] = Field(
        1.0, description="of full-batch descent, as a multiple of 1 / L of each world's training inputs"
    )
    teacher_steps: Distinct[PositiveInt] = Field(
        (1, 3, 10, 30, 100, 300, 1000), description="training times at which teachers' flips are counted"
    )
    entry_steps: Distinct[NonNegativeInt] = Field(
        (0, 10), description="training times at which students' gradients are looked at"
    )
    alignment_teachers: Distinct[PositiveInt] = Field(
        (3, 10, 30, 300), description="training times of the teachers that students learn from"
    )
    student_steps: Distinct[PositiveInt] = Field(
        (1, 3, 10, 30, 100, 300), description="training times at which students' weights are looked at"
    )
    num_seeds: Annotated[int, Field(ge=MIN_STUDENTS)] = Field(16, description="worlds of each signal and similarity")
    seed: Seed = 16

    @property
    def num_classes(self) -> int:
        """Classes of all groups."""
        return self.num_groups * self.group_size

    @property
    def num_inputs(self) -> int:
        """Inputs of both blocks."""
        return self.top_size + self.tail_size

    @model_validator(mode="after")
    def _has_classes(self) -> Self:
        if self.num_classes < 2:
            raise ValueError("num_groups x group_size is one class; ask for two at least")
        return self

    @model_validator(mode="after")
    def _has_a_top_block(self) -> Self:
        if self.tail_variance > self.top_variance:
            raise ValueError(
                f"tail_variance {self.tail_variance} is above top_variance {self.top_variance}; exchange them"
            )
        return self

    @model_validator(mode="after")
    def _has_room_for_directions(self) -> Self:
        needed = self.num_groups + self.num_classes
        if self.top_size < needed:
            raise ValueError(
                f"top_size {self.top_size} is too small: groups and classes have {needed} orthogonal directions; "
                f"raise it to {needed} or more"
            )
        return self
