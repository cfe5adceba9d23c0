"""A deep ensemble: members that differ in initialisation and batch order (Lakshminarayanan et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import predict
from kd_uncertainty.teachers._fitting import fit_members
from kd_uncertainty.teachers.contract import Fitted, Problem, Teacher, TeacherOptions


class Options(TeacherOptions):
    """How many members approximate the posterior."""

    kind: Literal["deep_ensemble"] = "deep_ensemble"
    members: PositiveInt = 64

    @property
    def distinct_draws(self) -> int:
        """One for each member."""
        return self.members


def fit(problem: Problem, options: Options, seed: int) -> Fitted:
    """Train all members as one population with one-hot targets."""
    return fit_members(problem, problem.network.arguments, options.members, seed)


def posterior_logits(teacher: Teacher, inputs: Tensor, draws: Sequence[int], seed: int) -> Tensor:
    """Draw members, ``(draws, examples, classes)``: draw ``j`` is member ``j`` in an order that the seed shuffles.

    Members are independent samples of what training gives, so the first ``members`` draws are independent, none twice;
    further draws begin another shuffled round.
    """
    members = len(next(iter(teacher.parameters.values())))
    chosen = [_member(seed, draw, members) for draw in draws]
    distinct = sorted(set(chosen))
    build = network_builder(
        teacher.network.class_path, teacher.network.arguments, teacher.num_inputs, teacher.num_classes
    )
    logits = predict(build, {name: value[distinct] for name, value in teacher.parameters.items()}, inputs)
    return logits[torch.tensor([distinct.index(member) for member in chosen])]


def _member(seed: int, draw: int, members: int) -> int:
    order = np.random.default_rng(derive_seed(seed, "members", draw // members)).permutation(members)
    return int(order[draw % members])
