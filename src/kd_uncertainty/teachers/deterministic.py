"""A deterministic teacher: one network, a posterior that is a single point."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from torch import Tensor

from kd_uncertainty.teachers import deep_ensemble
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """No settings of its own."""

    kind: Literal["deterministic"] = "deterministic"

    @property
    def distinct_draws(self) -> int:
        """Every draw is the same."""
        return 1


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train one network on the training labels."""
    return deep_ensemble.fit(problem, deep_ensemble.Options(members=1), seed)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Return the network's logits once for each draw, ``(draws, examples, classes)``."""
    return deep_ensemble.posterior_logits(teacher, inputs, draws, seed)
