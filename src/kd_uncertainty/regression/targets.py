"""What each student of a regression plan is trained on: noisy responses or posterior draws, by its response seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.population.linear.noise import standard_normals
from kd_uncertainty.population.targets import DrawBlocks, posterior_draws

Floats = NDArray[np.float64]

Row = Any
"""A row of the plan with its columns as attributes, as ``plan.itertuples()`` gives."""


def noisy_target(means: Floats, noise_std: float, response_seed: int, num_responses: int) -> Floats:
    """Return the mean of ``num_responses`` noisy responses to each example, (examples,).

    Response ``j`` to example ``i`` is ``means[i] + noise_std z`` with normal ``i`` of the noise stream ``j`` of the
    response seed: fewer responses are a prefix of more, and different response seeds are independent. These are the
    responses of ``population.linear.noisy_students`` too.
    """
    seeds = np.array([response_seed], dtype=np.uint64)
    total = np.zeros(len(means))
    for response in range(num_responses):
        total += standard_normals(seeds, response, len(means))[0]
    return means + noise_std * total / num_responses


@dataclass(frozen=True)
class ValueTargets:
    """Makes targets for rows of a regression plan.

    Attributes:
        means: teacher -> (examples,).
        draws: teacher -> (examples, draws).
        targets: (examples,), the data's own.
        unit: Var(y_train), which noise multiplies; all in one unit.
        blocks: how draws are dealt to response seeds, of the *whole* plan.
    """

    means: Mapping[str, Floats]
    draws: Mapping[str, Floats]
    targets: Floats
    unit: float
    blocks: DrawBlocks

    def target(self, row: Row) -> Floats:
        """Return the teacher's part of one student's target, (examples,); the data's own for ground truth."""
        if row.target == "ground_truth":
            return self.targets
        if row.target == "exact":
            return self.means[row.teacher]
        if row.target == "noise":
            std = float(np.sqrt(row.noise * self.unit))
            return noisy_target(self.means[row.teacher], std, int(row.response_seed), int(row.num_responses))
        draws = self.draws[row.teacher]
        chosen = posterior_draws(draws.shape[1], self.blocks, int(row.response_seed), int(row.num_responses))
        return np.asarray(draws[:, chosen].mean(1))

    def mixed(self, row: Row) -> Floats:
        """Return what a student minimises its squared error to: ``(1 - mixing) own + mixing target``, (examples,)."""
        return np.asarray((1.0 - row.mixing) * self.targets + row.mixing * self.target(row))
