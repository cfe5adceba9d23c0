r"""Log-odds of a class, stable at any confidence, and the class that a teacher would choose.

``logit p_c = log(p_c / (1 - p_c)) = z_c - log sum_{j != c} exp z_j`` for ``p = softmax(z)``. It needs no p, which is 1
in floating-point numbers long before its log-odds are large, and does not change when a number is added to all z.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.calibration import log_softmax

Floats = NDArray[np.float64]
Classes = NDArray[np.intp]


def stable_logit(logits: NDArray[Any], classes: NDArray[Any]) -> Floats:
    """Return the log-odds of one class of each example, in nats; (..., examples).

    Args:
        logits: (..., examples, classes), unnormalised or logarithms of probabilities; -inf for 0.
        classes: (..., examples) whole numbers; leading axes broadcast with those of the logits.

    Returns:
        +-inf where the class has all of the probability or none.

    Raises:
        ValueError: there are fewer than two classes.
    """
    values = np.asarray(logits, dtype=np.float64)
    if values.shape[-1] < 2:
        raise ValueError(f"log-odds need two classes at least, not {values.shape[-1]}")
    is_class = np.arange(values.shape[-1]) == np.asarray(classes)[..., None]
    values, is_class = np.broadcast_arrays(values, is_class)
    chosen = np.where(is_class, values, -np.inf).max(axis=-1)
    others = np.where(is_class, -np.inf, values)
    largest = others.max(axis=-1)
    shift = np.where(np.isfinite(largest), largest, 0.0)
    with np.errstate(divide="ignore"):
        rest = shift + np.log(np.exp(others - shift[..., None]).sum(axis=-1))
    return np.asarray(chosen - rest)


def chosen_classes(logits: NDArray[Any]) -> Classes:
    """Return the class of the largest logit, the first of tied ones; (..., examples)."""
    return np.asarray(np.argmax(logits, axis=-1))


def posterior_mean_logits(logits: NDArray[Any]) -> Floats:
    """Return the logarithm of the posterior mean ``mean_m softmax(z_m)``, (examples, classes).

    By sums of logarithms, so that no probability underflows to 0.

    Args:
        logits: (examples, draws, classes).
    """
    return np.asarray(np.logaddexp.reduce(log_softmax(logits), axis=-2) - math.log(logits.shape[-2]))
