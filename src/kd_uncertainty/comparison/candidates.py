"""Fitted teachers as candidates of the comparison."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from kd_uncertainty.comparison.data import Candidate, ComparisonData
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.teachers import collection
from kd_uncertainty.teachers.contract import Teacher


def candidates_of(
    teachers: Mapping[str, Teacher], data: ComparisonData, *, seed: int, device: torch.device
) -> list[Candidate]:
    """Return what the comparison asks of fitted teachers.

    Args:
        teachers: by name.
        data: the task that they were fitted on.
        seed: of the comparison; each teacher's stream of draws is derived from its name.
        device: where logits are computed.
    """
    return [_candidate(teacher, data, derive_seed(seed, "answers", name), device) for name, teacher in teachers.items()]


def _candidate(teacher: Teacher, data: ComparisonData, stream: int, device: torch.device) -> Candidate:
    ids = np.concatenate([data.train.example_ids, data.validation.example_ids, data.test.example_ids])

    def answers(num_draws: int) -> NDArray[np.float32]:
        there = replace(teacher, parameters={key: value.to(device) for key, value in teacher.parameters.items()})
        logits = collection.posterior_logits(there, data.inputs.to(device), range(num_draws), stream, ids)
        return np.ascontiguousarray(logits.transpose(0, 1).cpu().numpy())

    options = teacher.options
    return Candidate(teacher.name, options.kind, options.distinct_draws, options.folds > 1, answers)
