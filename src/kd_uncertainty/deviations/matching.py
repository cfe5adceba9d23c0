"""Student and teacher compared where they have made equal progress in the top direction of a pair."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def matched_gaps(teacher: Floats, student: Floats, levels: Floats) -> Floats:
    """By how much the student is behind in the lower direction at matched progress in the top one.

    A path is a polygon through its records. It reaches a level where its top direction first crosses it. Levels are
    shares of what both reach in the top direction.

    Args:
        teacher: (records, directions) progress, from 0 on; directions by falling eigenvalue.
        student: (records, directions), likewise; its records may be at other times.
        levels: (levels,) shares between 0 and 1.

    Returns:
        (pairs, levels): teacher's minus student's progress, pairs in the order (0, 1), (0, 2), ..., (1, 2), ...
    """
    gaps = []
    for top in range(teacher.shape[1] - 1):
        reach = min(teacher[:, top].max(), student[:, top].max())
        gaps.append(
            _at_levels(teacher, top, levels * reach)[top + 1 :] - _at_levels(student, top, levels * reach)[top + 1 :]
        )
    return np.concatenate(gaps)


def thinned(paths: Floats, every: int) -> Floats:
    """Every so many records of paths (seeds, records, directions), with the first and the last."""
    last = paths.shape[1] - 1
    return paths[:, sorted({*range(0, last, every), last})]


def _at_levels(path: Floats, top: int, levels: Floats) -> Floats:
    """Progress of every direction where ``top`` first reaches the levels, (directions, levels)."""
    highest = np.maximum.accumulate(path[:, top])
    after = np.clip(np.searchsorted(highest, levels), 1, len(path) - 1)
    start, end = path[after - 1, top], path[after, top]
    share = np.where(end > start, (levels - start) / np.where(end > start, end - start, 1.0), 1.0)
    return np.asarray((path[after - 1] + share[:, None] * (path[after] - path[after - 1])).T)
