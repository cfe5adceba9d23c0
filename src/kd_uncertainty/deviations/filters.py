r"""What gradient descent has learnt in each eigendirection, in closed form.

A linear model with squared loss starts from weights of 0. Along an eigenvector of the inputs' covariance with
eigenvalue l, gradient flow has learnt the share ``a = 1 - exp(-l t)`` of the least-squares solution at time t (the
teacher's *filter*). A student trained on the outputs of the teacher stopped at T has learnt
``b = (1 - exp(-l t')) (1 - exp(-l T))`` at its time t' (Nagarajan et al., arXiv 2301.12923, the eigenspace theorem).
Gradient descent has the same filters with ``(1 - eta l)^t`` for ``exp(-l t)``, that is with the rate
``-log(1 - eta l)`` for l (see :func:`descent_rates`); momentum has others.

**Statement.** If ``a(l1; t) = b(l1; t')`` and ``l2 < l1`` then ``b(l2; t') < a(l2; t)``: with equal progress in the top
direction the student is behind in the lower one.

**Why.** Let ``lag(l) = t' - t`` be the time by which the student must train longer to have what the teacher has at t.
Solving ``a = b`` for t' gives ``lag(l) = log(1 + (1 - exp(-l t)) / (exp(l (T - t)) - 1)) / l``. The numerator grows
less than in proportion to l and the denominator more, so the fraction falls with l, and
``lag(l2) / lag(l1) > l1 / l2 > 1``: the lag of the lower direction is the longer, by more than the ratio of the
eigenvalues. As b grows with t', the student that has caught up in l1 has not done so in l2.

All functions broadcast and keep their relative accuracy for any l, t, T: they never form ``1 - exp(-x)``, whose
rounding reverses comparisons of filters near 0 and near 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_TINY_LOG = -30.0
"""Below, log(1 + x) is x (1 - x / 2) to all digits."""


def descent_rates(eigenvalues: Any, learning_rate: float) -> Floats:
    """Rates r of gradient descent, with which ``exp(-r t) = (1 - eta l)^t``.

    Args:
        eigenvalues: l, of any shape.
        learning_rate: eta; 0 < eta l < 1 for all l. Above 1, ``1 - eta l`` is negative: filters oscillate, a larger l
            may be learnt later, and the statement fails, even where descent converges (eta l < 2).

    Raises:
        ValueError: eta l is not between 0 and 1.
    """
    products = learning_rate * np.asarray(eigenvalues, dtype=np.float64)
    if not ((products > 0.0) & (products < 1.0)).all():
        raise ValueError(
            f"learning rate x eigenvalue must be between 0 and 1, not {products.min():.3g} to {products.max():.3g}"
        )
    return np.asarray(-np.log1p(-products))


def teacher_filter(rates: Any, time: Any) -> Floats:
    """``a = 1 - exp(-l t)``, the teacher's share of the least-squares solution.

    Args:
        rates: l of gradient flow or :func:`descent_rates`.
        time: t, or steps.
    """
    return np.asarray(-np.expm1(-np.multiply(rates, time)), dtype=np.float64)


def student_filter(rates: Any, time: Any, teacher_time: Any) -> Floats:
    """``b = (1 - exp(-l t')) (1 - exp(-l T))``, the student's share of the least-squares solution.

    Args:
        rates: l of gradient flow or :func:`descent_rates`.
        time: t' of the student.
        teacher_time: T at which its teacher was stopped.
    """
    return np.asarray(teacher_filter(rates, time) * teacher_filter(rates, teacher_time))


def log_lag(rates: Any, time: Any, teacher_time: Any) -> Floats:
    """Logarithm of the time by which the student must train longer than the teacher for equal filters.

    ``lag = log(1 + (1 - exp(-l t)) / (exp(l (T - t)) - 1)) / l``, on a logarithmic scale because the lag of a large l
    is too small for a floating-point number.

    Args:
        rates: l of gradient flow or :func:`descent_rates`.
        time: t of the teacher, 0 < t < T; the student can never reach what the teacher has at T.
        teacher_time: T.

    Raises:
        ValueError: t is not between 0 and T.
    """
    rates, time, teacher_time = np.broadcast_arrays(
        *(np.asarray(value, dtype=np.float64) for value in (rates, time, teacher_time))
    )
    if not ((time > 0.0) & (time < teacher_time)).all():
        raise ValueError("times must be between 0 and the time at which the teacher stopped")
    rest = rates * (teacher_time - time)
    # log of (1 - exp(-l t)) / (exp(rest) - 1)
    ratio = np.log(teacher_filter(rates, time)) - rest - np.log(teacher_filter(rest, 1.0))
    small = np.minimum(ratio, _TINY_LOG)
    logs = np.where(
        ratio < _TINY_LOG, small - 0.5 * np.exp(small), np.log(np.logaddexp(0.0, np.maximum(ratio, _TINY_LOG)))
    )
    return np.asarray(logs - np.log(rates))


def matched_time(rates: Any, time: Any, teacher_time: Any) -> Floats:
    """Time t' at which the student has what the teacher has at t: ``a(l; t) = b(l; t')``; see :func:`log_lag`."""
    return np.asarray(time + np.exp(log_lag(rates, time, teacher_time)))


def student_is_behind(top: Any, lower: Any, time: Any, teacher_time: Any) -> NDArray[np.bool_]:
    """Whether ``b(l2; t') < a(l2; t)`` at the t' where ``b(l1; t') = a(l1; t)``: that is, ``lag(l2) > lag(l1)``.

    Args:
        top: rates l1.
        lower: rates l2.
        time: t of the teacher, 0 < t < T.
        teacher_time: T.
    """
    return np.asarray(log_lag(lower, time, teacher_time) > log_lag(top, time, teacher_time))


def matched_gap(top: Any, lower: Any, time: Any, teacher_time: Any) -> Floats:
    """``a(l2; t) - b(l2; t')`` at the t' where ``b(l1; t') = a(l1; t)``; 0 only where it underflows.

    As ``a(l2; t) = b(l2; t + lag(l2))`` and ``t' = t + lag(l1)``, it is
    ``(1 - exp(-l2 T)) exp(-l2 t') (1 - exp(-l2 (lag(l2) - lag(l1))))``.

    Args:
        top: rates l1.
        lower: rates l2.
        time: t of the teacher, 0 < t < T.
        teacher_time: T.
    """
    reached = np.exp(log_lag(top, time, teacher_time))
    missing = np.exp(log_lag(lower, time, teacher_time)) - reached
    remaining = np.exp(-np.multiply(lower, time + reached))
    return np.asarray(teacher_filter(lower, teacher_time) * remaining * teacher_filter(lower, missing))
