"""Passes over the data cut into segments, so that students are evaluated several times in a pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.seeds import batch_orders


def segment_length(num_examples: int, segments: int, batch_size: int) -> int:
    """Return the examples of a segment: a multiple of the batch size, where there is room for a batch.

    Args:
        num_examples: of a pass.
        segments: of a pass.
        batch_size: examples a step.

    Raises:
        UserError: if there are more segments than examples.
    """
    length = num_examples // segments
    if length == 0:
        raise UserError(
            f"stability: evaluations: {num_examples} training examples cannot be cut into {segments} segments; ask for "
            "fewer evaluations"
        )
    return length if length < batch_size else length // batch_size * batch_size


def segment_rows(seeds: Sequence[int], passes: int, segments: int, num_examples: int, length: int) -> Tensor:
    """Return which examples each segment has, (seeds, passes * segments, length) int64.

    Each pass visits a permutation of the examples by the student's seed, the first ``segments * length`` of it; the
    rest is left out in that pass, and in another one others are.

    Args:
        seeds: one a student.
        passes: over the data.
        segments: of a pass.
        num_examples: training examples.
        length: of a segment, from :func:`segment_length`.
    """
    visits = [
        batch_orders(seeds, number, num_examples)[:, : segments * length].reshape(len(seeds), segments, length)
        for number in range(passes)
    ]
    return torch.from_numpy(np.concatenate(visits, axis=1))
