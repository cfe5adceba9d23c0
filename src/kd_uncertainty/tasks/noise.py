"""Noise on training labels, and what it does to class probabilities: ``P -> P T`` with T the transition of a label."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_FLIPS, _TRANSITIONS = 1, 4  # streams of a task's seed; 2 and 3 split the table


def flip_labels(
    labels: NDArray[np.int64], rows: NDArray[np.int64], num_classes: int, fraction: float, seed: int
) -> NDArray[np.int64]:
    """Give ``round(fraction * len(rows))`` of the rows another class, each of the others equally likely."""
    generator = np.random.default_rng([seed, _FLIPS])
    chosen = generator.choice(rows, size=round(fraction * len(rows)), replace=False)
    noisy = labels.copy()
    noisy[chosen] = (labels[chosen] + generator.integers(1, num_classes, size=len(chosen))) % num_classes
    return noisy


def flip_transition(num_classes: int, num_rows: int, fraction: float) -> Floats:
    """What :func:`flip_labels` does to one label, (classes, classes): ``(1 - f) I + f / (K - 1) (J - I)``.

    ``f = round(fraction * num_rows) / num_rows`` is the share that is flipped: the labels of different rows are not
    quite independent, as exactly so many are chosen, and f is the probability of each.
    """
    share = round(fraction * num_rows) / num_rows
    other = share / (num_classes - 1)
    return np.full((num_classes, num_classes), other) + (1.0 - share - other) * np.eye(num_classes)


def transition_labels(
    labels: NDArray[np.int64], rows: NDArray[np.int64], transition: ArrayLike, seed: int
) -> NDArray[np.int64]:
    """Draw the label of each row anew, independently, from its class's row of ``transition`` (classes, classes)."""
    cumulative = np.cumsum(np.asarray(transition, dtype=np.float64), axis=1)
    cumulative /= cumulative[:, -1:]
    uniform = np.random.default_rng([seed, _TRANSITIONS]).random(len(rows))
    noisy = labels.copy()
    noisy[rows] = (uniform[:, None] >= cumulative[labels[rows]]).sum(axis=1)
    return noisy
