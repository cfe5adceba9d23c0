"""How much an enumerated teacher depends on one example: suprema, and the certificates that follow from them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.bounds.enumerated import Enumeration, Process
from kd_uncertainty.bounds.proxies import (
    Certificate,
    Estimate,
    bounded_difference_certificate,
    cumulant_certificate,
    hoeffding_certificate,
    stability_certificate,
    std_proxy,
)

Floats = NDArray[np.float64]


class Sensitivity(NamedTuple):
    """Suprema over all data sets that can occur, and all replacements of one example.

    Attributes:
        difference: c, of the change of the teacher's mean h.
        stability: beta, of the change of the teacher's mean loss at any example.
        spread: R, of the range of h over what the teacher may return on one data set.
        loss_range: b - a.
    """

    difference: float
    stability: float
    spread: float
    loss_range: float


class Proxies(NamedTuple):
    """Sigma of a process's teacher by every proxy; all but the standard deviation are certificates here."""

    std: Estimate
    cumulant: Certificate
    bounded_difference: Certificate
    stability: Certificate
    hoeffding: Certificate


def sensitivity(process: Process, found: Enumeration) -> Sensitivity:
    """Measure the suprema of a process's teacher by enumeration."""
    can_occur = (process.labels > 0.0).ravel() & np.repeat(process.inputs > 0.0, process.labels.shape[1])
    kernel, returned = np.exp(found.teacher.kernel), process.teacher.log_prior > -np.inf
    losses = process.losses[returned][..., process.labels > 0.0]
    mean_gaps = (kernel * found.gaps).sum(axis=1)
    mean_losses = (kernel @ process.losses.reshape(len(process.losses), -1))[:, can_occur]  # (d, examples)
    before, after = neighbours(found.types.reshape(len(found.types), -1), can_occur)
    gaps = found.gaps[np.isfinite(found.teacher.data)][:, returned]
    return Sensitivity(
        difference=float(np.abs(mean_gaps[before] - mean_gaps[after]).max(initial=0.0)),
        stability=float(np.abs(mean_losses[before] - mean_losses[after]).max(initial=0.0)),
        spread=float(np.ptp(gaps, axis=1).max()),
        loss_range=float(np.ptp(losses)),
    )


def all_proxies(process: Process, found: Enumeration) -> Proxies:
    """Return every proxy of the teacher's h from its exact law and suprema."""
    weights, measured = found.teacher.weights, sensitivity(process, found)
    possible = found.gaps[found.teacher.joint > -np.inf]
    size, spread = process.num_examples, measured.spread
    return Proxies(
        std_proxy(found.gaps, weights),
        cumulant_certificate(found.gaps, weights),
        bounded_difference_certificate(measured.difference, size, spread),
        stability_certificate(measured.stability, size, measured.loss_range, spread),
        hoeffding_certificate(float(possible.min()), float(possible.max())),
    )


def neighbours(counts: NDArray[np.int64], can_occur: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows of ``counts`` (d, cells) that differ by one example, each pair in both directions; only what can occur."""
    size = int(counts[0].sum())
    place = (size + 1) ** np.arange(counts.shape[1], dtype=np.int64)
    codes = counts @ place
    order = np.argsort(codes)
    cells = np.flatnonzero(can_occur)
    legal = counts[:, ~can_occur].sum(axis=1) == 0
    before, after = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for gone in cells:
        rows = np.flatnonzero(legal & (counts[:, gone] > 0))
        for come in cells[cells != gone]:
            wanted = codes[rows] - place[gone] + place[come]
            before.append(rows)
            after.append(order[np.searchsorted(codes, wanted, sorter=order)])
    return np.concatenate(before), np.concatenate(after)
