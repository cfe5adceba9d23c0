r"""Which entries of the one-hot gradient do harm, and which of them distillation turns round.

An entry is an example i and a class k other than its label. The loss's gradient in logit k is ``p_ik`` under the
one-hot label and ``p_ik - q_ik`` under the teacher's probabilities: the label always pushes the logit down, the teacher
pushes it up where ``q_ik > p_ik``. An entry is destructive where ``p*_ik > p_ik``: class k deserves more than it has.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.deviations._denoising_worlds import Floats, Labels

Mask = NDArray[np.bool_]


class Entries(NamedTuple):
    """Masks (..., examples, classes) of the two kinds of entries; labels' own entries are in neither."""

    destructive: Mask
    harmless: Mask


def entries(truth: Floats, student: Floats, labels: Labels) -> Entries:
    """Tell destructive entries from others.

    Args:
        truth: (..., examples, classes), P*.
        student: (..., examples, classes), its probabilities.
        labels: (..., examples).
    """
    others = np.arange(truth.shape[-1]) != labels[..., None]
    deserved = truth > student
    return Entries(others & deserved, others & ~deserved)


def destructive_share(found: Entries) -> Floats:
    """Return the share of destructive entries among all, (...)."""
    return share(found.destructive, found.destructive | found.harmless)


def flips(teacher: Floats, student: Floats) -> Mask:
    """Say where distillation pushes up, (..., examples, classes)."""
    return np.asarray(teacher > student)


def share(chosen: Mask, among: Mask) -> Floats:
    """Return the share of ``chosen`` within ``among`` over examples and classes, (...); NaN where that is empty."""
    total = among.sum(axis=(-2, -1))
    hits = (chosen & among).sum(axis=(-2, -1))
    return np.asarray(np.where(total > 0, hits / np.maximum(total, 1), np.nan))
