"""Options of the section that takes the distillation divergence apart."""

from __future__ import annotations

from typing import Literal, Self, get_args

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from kd_uncertainty.typed import Distinct, Options, Seed

Dial = Literal["inverse_temperature", "rank", "num_examples", "label_noise", "prior_precision", "student_sharpness"]
DIALS: tuple[Dial, ...] = get_args(Dial)


class DecompositionOptions(Options):
    """One linear-Gaussian world, its dials, and how far each is turned while the others stay."""

    num_outputs: PositiveInt = Field(3, description="k")
    num_inputs: PositiveInt = Field(4, description="d; input columns are standard normal")
    true_rank: PositiveInt = Field(2, description="of W*, whose entries have mean square 1")

    inverse_temperature: PositiveFloat = Field(4.0, description="beta of the Gibbs teacher; 1 is the Bayes posterior")
    rank: PositiveInt = Field(2, description="r of the student's map")
    num_examples: PositiveInt = Field(32, description="n")
    label_noise: PositiveFloat = Field(0.5, description="nu, standard deviation of labels and of pseudo-labels")
    prior_precision: PositiveFloat = Field(1.0, description="lambda of teacher and student")
    student_sharpness: PositiveFloat = Field(
        2.0, description="inverse temperature of the student's Gibbs spread, as a multiple of the teacher's"
    )

    inverse_temperatures: Distinct[PositiveFloat] = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0)
    ranks: Distinct[PositiveInt] = (1, 2, 3)
    nums_examples: Distinct[PositiveInt] = Field(
        (2, 4, 8, 16, 32, 64, 128, 256), description="the first n of one list of inputs"
    )
    label_noises: Distinct[PositiveFloat] = (0.125, 0.25, 0.5, 1.0, 2.0)
    prior_precisions: Distinct[PositiveFloat] = (0.01, 0.1, 1.0, 10.0, 100.0)
    student_sharpnesses: Distinct[PositiveFloat] = (0.25, 0.5, 1.0, 2.0, 4.0)

    num_draws: int = Field(8192, ge=2, description="of the teacher, for what a truncated map loses")
    num_sets: int = Field(48, ge=2, description="pseudo-labelled data sets of the nested estimate")
    num_students: PositiveInt = Field(8, description="of each such set")
    num_proposals: PositiveInt = Field(64, description="teachers behind each such student")
    num_fit: PositiveInt = Field(256, description="teachers of each set from which the proposals are made")
    num_configurations: NonNegativeInt = Field(400, description="random worlds of the audit")
    seed: Seed = 21

    @model_validator(mode="after")
    def _ranks_exist(self) -> Self:
        most = min(self.num_outputs, self.num_inputs)
        for name, value in {"true_rank": self.true_rank, "rank": self.rank, "ranks": max(self.ranks)}.items():
            if value > most:
                raise ValueError(f"{name} is {value}, but weights of this size have rank {most} at most; lower it")
        return self

    @model_validator(mode="after")
    def _proposals_can_be_fitted(self) -> Self:
        needed = 2 * self.num_outputs * self.num_inputs
        if self.num_fit < needed:
            raise ValueError(
                f"num_fit {self.num_fit} is too small for num_outputs x num_inputs; raise it to {needed} or more"
            )
        return self

    @property
    def base(self) -> dict[Dial, float]:
        """The base configuration."""
        return {dial: float(getattr(self, dial)) for dial in DIALS}

    @property
    def turns(self) -> dict[Dial, tuple[float, ...]]:
        """The values of each dial in ascending order, its base value among them."""
        plural = {
            "inverse_temperature": self.inverse_temperatures,
            "rank": self.ranks,
            "num_examples": self.nums_examples,
            "label_noise": self.label_noises,
            "prior_precision": self.prior_precisions,
            "student_sharpness": self.student_sharpnesses,
        }
        return {dial: tuple(sorted({*map(float, plural[dial]), self.base[dial]})) for dial in DIALS}
