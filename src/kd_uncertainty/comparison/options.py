"""Options of the comparison of teachers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from kd_uncertainty.teachers.named import Posteriors
from kd_uncertainty.typed import Distinct, Fraction, Options, Seed
from kd_uncertainty.uncertainty.students import MIN_STUDENTS

PositiveShare = Annotated[float, Field(gt=0.0, le=1.0)]


class TeacherComparisonOptions(Options):
    """Which teachers are compared, and in which cells their students are trained.

    Every teacher is compared at full data with each of ``num_draws``, with each of ``fractions`` at its largest number
    of draws, and with each pair of ``mixing`` and ``temperature`` there. The cell of all data, mixing 1 and temperature
    1 is there in any case.
    """

    posteriors: Posteriors = Field(description="teachers by name, of the kinds in kd_uncertainty.teachers")
    num_draws: Distinct[PositiveInt] = Field(
        (1, 2, 4, 8, 16, 32), description="posterior draws that a student's target averages; at most all there are"
    )
    fractions: Distinct[PositiveShare] = Field(
        (0.05, 0.1, 0.2, 0.5, 1.0), description="few-shot: share of the training examples that students see"
    )
    few_shot_training: Literal["steps", "epochs"] = Field(
        "steps", description="what few-shot students have in common with the others: optimiser steps, or epochs"
    )
    mixing: Distinct[PositiveShare] = Field((0.5, 1.0), description="weight of the teacher beside the data's labels")
    temperature: Distinct[PositiveFloat] = Field((1.0, 2.0, 4.0), description="softening of teacher and student")
    num_seeds: Annotated[int, Field(ge=MIN_STUDENTS)] = Field(
        6, description="students of a cell; each has an initialisation, a batch order, examples and draws of its own"
    )
    evaluations: Fraction = Field(
        0.5, description="convergence noise: the last share of the evaluations, one after each epoch"
    )
    seed: Seed = 10
