r"""The distillation divergence K = KL(law of (D^, f_S) || law of (D, f_T)) on finite spaces, and its chain rule.

D is the teacher's data set and f_T the model it returns; D^ is the same inputs with labels sampled from the teacher and
f_S the student's model. Both data sets live in one space and so do both models; kernels are randomised. Then (exactly)

    K = KL(P_D^ || P_D)                              dataset shift
      + E_{d ~ D^} KL(q_S(. | d) || q_T(. | d))      algorithm shift,

where the teacher's kernel is evaluated at the same pseudo-labelled d. All laws are logarithms of probabilities, with
-inf for what cannot happen; divergences are in nats, and infinite where the reference has no mass. Source: Li & He,
arXiv 2605.13143.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]

_UNNORMALISED = 1e-8


class Law(NamedTuple):
    """The law of (data set, model).

    Attributes:
        data: log-probabilities of data sets, (d,).
        kernel: log-probabilities of models given the data set, (d, f).
    """

    data: Floats
    kernel: Floats

    @property
    def joint(self) -> Floats:
        """Log-probabilities of pairs, (d, f)."""
        return self.data[:, None] + self.kernel

    @property
    def weights(self) -> Floats:
        """Probabilities of pairs, (d, f)."""
        return np.exp(self.joint)


class Divergence(NamedTuple):
    """K, of the joint laws, with its two parts, which are computed apart from it; nats."""

    total: float
    dataset_shift: float
    algorithm_shift: float

    @property
    def chain_rule_error(self) -> float:
        """|total - parts|; 0 where both are infinite."""
        parts = self.dataset_shift + self.algorithm_shift
        return 0.0 if self.total == parts else abs(self.total - parts)


def distillation_divergence(student: Law, teacher: Law) -> Divergence:
    """Return K and its parts.

    Args:
        student: of (D^, f_S).
        teacher: of (D, f_T), over the same data sets and models in the same order.

    Raises:
        UserError: if spaces differ or laws do not sum to 1.
    """
    if student.kernel.shape != teacher.kernel.shape:
        raise UserError(
            f"bounds: the student's law is over {student.kernel.shape} data sets and models and the teacher's over "
            f"{teacher.kernel.shape}; the divergence needs one space for both"
        )
    shift = kl_divergence(student.data, teacher.data)
    apart = np.atleast_1d(kl_divergences(student.kernel, teacher.kernel))
    return Divergence(kl_divergence(student.joint, teacher.joint), shift, expectation(student.data, apart))


def kl_divergence(law: Floats, reference: Floats) -> float:
    """KL(law || reference) of two laws given as log-probabilities of the same shape."""
    return float(kl_divergences(law.reshape(1, -1), reference.reshape(1, -1))[0])


def kl_divergences(laws: Floats, references: Floats) -> Floats:
    r"""KL(law || reference) along the last axis, (...), of log-probabilities (..., m).

    It is the sum of ``q (p / q log(p / q) - p / q + 1)``, whose terms are not negative, so that small divergences do
    not drown in rounding.

    Raises:
        UserError: if a law does not sum to 1.
    """
    _check(laws)
    _check(references)
    possible = laws > -math.inf
    with np.errstate(invalid="ignore"):
        ratio = np.where(possible, laws - references, 0.0)  # log(p / q), infinite where q has no mass
    terms = np.exp(laws) * np.where(possible, ratio, 0.0) + np.exp(references) - np.exp(laws)
    near = np.abs(ratio) < 1e-3
    small = np.where(near, ratio, 0.0)
    series = np.exp(references) * small**2 * (0.5 + small * (1 / 3 + small * (1 / 8 + small / 30)))
    return np.asarray(np.where(near & possible, series, terms).sum(axis=-1))


def expectation(law: Floats, values: Floats) -> float:
    """The mean of values under log-probabilities of the same shape; what cannot happen does not count."""
    possible = law > -math.inf
    return float((np.exp(law[possible]) * values[possible]).sum())


def _check(laws: Floats) -> None:
    with np.errstate(invalid="ignore"):
        total = logsumexp(laws, axis=-1)
    if not (np.abs(total) < _UNNORMALISED).all():
        raise UserError("bounds: log-probabilities of a law do not sum to probability 1; normalise them")
