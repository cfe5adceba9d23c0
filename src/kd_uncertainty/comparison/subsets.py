"""Few-shot subsets: the same classes in the same shares, each subset inside every larger one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.population.seeds import derive_seed, random_bits, uniforms


def subset_size(num_examples: int, fraction: float) -> int:
    """Return how many examples a fraction is: ``fraction * num_examples``, rounded, and at least one."""
    return max(1, round(fraction * num_examples))


def nested_rows(labels: NDArray[np.int64], fraction: float, seeds: Sequence[int]) -> NDArray[np.int64]:
    """Return the examples of each student's subset, (students, m), in increasing order.

    A seed shuffles the examples of each class; example j of n_c gets the place ``(j + u_c) / n_c`` with one uniform
    ``u_c`` a class, and a subset takes the first places of all classes together. So a smaller fraction is inside a
    larger one, and a class is in a subset of m of n examples with ``m n_c / n`` of its own, to within one or two.

    Args:
        labels: (examples,), the classes.
        fraction: of the examples; all of them at 1.
        seeds: one a student.
    """
    size = subset_size(len(labels), fraction)
    return np.stack([np.sort(_order(labels, seed)[:size]) for seed in seeds])


def _order(labels: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The examples in the order in which growing subsets take them, (examples,)."""
    words = random_bits(derive_seed(seed, "subset"), 0, len(labels))
    places = np.empty(len(labels))
    classes = np.unique(labels)
    shifts = uniforms(derive_seed(seed, "subset"), 1, len(classes))
    for label, shift in zip(classes, shifts, strict=True):
        members = np.flatnonzero(labels == label)
        shuffled = members[np.argsort(words[members], kind="stable")]
        places[shuffled] = (np.arange(len(members)) + shift) / len(members)
    return np.argsort(places, kind="stable")
