"""Accuracy, calibration and fidelity of predicted class probabilities.

Functions take logits (..., examples, classes); leading axes, such as students, are vectorised over. Probabilities work
too, as their logarithms (``np.log(p)``, -inf for 0): a log-softmax leaves them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

FloatArray = NDArray[np.float64]
METRICS = ("accuracy", "nll", "brier", "ece")
CHUNK_ELEMENTS = 1 << 20
"""Students are handled in chunks of about this many probabilities, which stay in cache."""


@dataclass(frozen=True)
class ReliabilityBins:
    """A reliability diagram: equal-width bins (lower, upper] of the top label's confidence.

    Attributes:
        bin_lower: (bins,).
        bin_upper: (bins,).
        confidence: (bins,) mean confidence, NaN in an empty bin.
        accuracy: (bins,) share of correct top labels, NaN in an empty bin.
        count: (bins,) predictions.
    """

    bin_lower: FloatArray
    bin_upper: FloatArray
    confidence: FloatArray
    accuracy: FloatArray
    count: NDArray[np.int64]


class MetricInterval(NamedTuple):
    """A metric with its bootstrap interval over examples."""

    metric: str
    estimate: float
    lower: float
    upper: float


def log_softmax(logits: NDArray[Any]) -> FloatArray:
    """``z - max z - log sum exp(z - max z)`` over the last axis, in float64; -inf stays -inf."""
    values = np.asarray(logits, dtype=np.float64)
    shifted: FloatArray = values - values.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def accuracy(logits: NDArray[Any], targets: NDArray[np.integer[Any]]) -> FloatArray:
    """Share of examples whose top label is the target (the first of tied labels); (...)."""
    return np.asarray((np.argmax(logits, axis=-1) == targets).mean(axis=-1))


def nll(logits: NDArray[Any], targets: NDArray[np.integer[Any]]) -> FloatArray:
    """Mean negative log-likelihood of the targets in nats; (...)."""
    return np.asarray(-_at_targets(log_softmax(logits), targets).mean(axis=-1))


def brier(logits: NDArray[Any], targets: NDArray[np.integer[Any]]) -> FloatArray:
    """Mean multi-class Brier score ``sum_c (p_c - y_c)^2``, between 0 and 2; (...)."""
    return np.asarray(_brier_terms(np.exp(log_softmax(logits)), targets).mean(axis=-1))


def ece(logits: NDArray[Any], targets: NDArray[np.integer[Any]], bins: int = 15) -> FloatArray:
    """Expected calibration error of the top label, ``sum_b n_b / n |accuracy_b - confidence_b|``; (...).

    Guo et al. 2017, section 2. Bins have equal width and are closed above.
    """
    return _ece(_top_label(np.exp(log_softmax(logits)), targets, bins), bins)


def agreement(logits: NDArray[Any], teacher_probabilities: NDArray[Any]) -> FloatArray:
    """Share of examples whose top label is that of the teacher's probabilities (examples, classes); (...)."""
    return accuracy(logits, np.argmax(teacher_probabilities, axis=-1))


def kl_to_teacher(logits: NDArray[Any], teacher_probabilities: NDArray[Any]) -> FloatArray:
    """Mean ``KL(teacher || student) = sum_c q_c (log q_c - log p_c)`` in nats, with ``0 log 0 = 0``; (...).

    The teacher's probabilities q are (examples, classes).
    """
    return _kl(log_softmax(logits), np.asarray(teacher_probabilities, dtype=np.float64))


def evaluate_students(
    logits: NDArray[Any],
    targets: NDArray[np.integer[Any]],
    teacher_probabilities: NDArray[Any] | None = None,
    bins: int = 15,
) -> tuple[dict[str, FloatArray], ReliabilityBins]:
    """All metrics of many students, and their pooled ``reliability_bins``, in one pass.

    Args:
        logits: (students, examples, classes).
        targets: (examples,) class indices.
        teacher_probabilities: (examples, classes), or None for students without a teacher.
        bins: of the calibration error.

    Returns:
        accuracy, nll, brier, ece, agreement, kl_to_teacher: (students,) each, the last two NaN without a teacher; and
        the reliability diagram of all students' predictions together.
    """
    num_students, num_examples, num_classes = logits.shape
    step = max(1, CHUNK_ELEMENTS // (num_examples * num_classes))
    parts = [
        _evaluate(logits[start : start + step], targets, teacher_probabilities, bins)
        for start in range(0, num_students, step)
    ]
    metrics = {name: np.concatenate([figures[name] for figures, _ in parts]) for name in parts[0][0]}
    top = _TopLabel(*(np.concatenate(column) for column in zip(*(top for _, top in parts), strict=True)))
    return metrics, _pooled(top, bins)


def reliability_bins(logits: NDArray[Any], targets: NDArray[np.integer[Any]], bins: int = 15) -> ReliabilityBins:
    """Confidence against accuracy of the top label, pooled over all leading axes.

    Args:
        logits: (..., examples, classes).
        targets: (examples,) class indices.
        bins: number of equal-width bins.
    """
    return _pooled(_top_label(np.exp(log_softmax(logits)), targets, bins), bins)


def metric_intervals(
    logits: NDArray[Any],
    targets: NDArray[np.integer[Any]],
    *,
    bins: int = 15,
    confidence: float = 0.95,
    num_bootstrap: int = 400,
    seed: int = 0,
) -> list[MetricInterval]:
    """Metrics of one predictor with bootstrap intervals over examples.

    Quantiles of the replicates, moved so that their mean is the estimate: resampling inflates the calibration error,
    an average of absolute values, and the interval should not inherit that. Bounds are cut to the metric's range.

    Args:
        logits: (examples, classes).
        targets: (examples,) class indices.
        bins: of the calibration error.
        confidence: of the intervals.
        num_bootstrap: replicates.
        seed: of the resampling.
    """
    log_probabilities = log_softmax(logits)
    probabilities = np.exp(log_probabilities)
    index, top, correct = _top_label(probabilities, targets, bins)
    num_examples = len(targets)
    uniform = np.full(num_examples, 1.0 / num_examples)
    draws = np.random.default_rng(seed).multinomial(num_examples, uniform, num_bootstrap)
    weights = np.vstack([uniform, draws / num_examples])  # the first row is the sample itself
    means = np.stack([correct, -_at_targets(log_probabilities, targets), _brier_terms(probabilities, targets)], axis=1)
    gaps = np.zeros((num_examples, bins))
    gaps[np.arange(num_examples), index] = top - correct
    values = np.column_stack([weights @ means, np.abs(weights @ gaps).sum(axis=1)])
    tail = (1.0 - confidence) / 2.0
    replicates = values[1:] - values[1:].mean(axis=0) + values[0]
    lower, upper = np.clip(np.quantile(replicates, [tail, 1.0 - tail], axis=0), 0.0, [1.0, np.inf, 2.0, 1.0])
    return [
        MetricInterval(name, float(values[0, i]), float(lower[i]), float(upper[i])) for i, name in enumerate(METRICS)
    ]


def _evaluate(
    logits: NDArray[Any], targets: NDArray[np.integer[Any]], teacher: NDArray[Any] | None, bins: int
) -> tuple[dict[str, FloatArray], _TopLabel]:
    log_probabilities = log_softmax(logits)
    probabilities = np.exp(log_probabilities)
    label = np.argmax(logits, axis=-1)
    top = _top_label(probabilities, targets, bins)
    unknown = np.full(len(logits), np.nan)
    metrics = {
        "accuracy": (label == targets).mean(axis=-1),
        "nll": -_at_targets(log_probabilities, targets).mean(axis=-1),
        "brier": _brier_terms(probabilities, targets).mean(axis=-1),
        "ece": _ece(top, bins),
        "agreement": unknown if teacher is None else (label == np.argmax(teacher, axis=-1)).mean(axis=-1),
        "kl_to_teacher": unknown if teacher is None else _kl(log_probabilities, np.asarray(teacher, dtype=np.float64)),
    }
    return metrics, top


def _at_targets(values: FloatArray, targets: NDArray[np.integer[Any]]) -> FloatArray:
    """Values (..., examples) at each example's target class."""
    return np.asarray(values[..., np.arange(len(targets)), targets])


def _brier_terms(probabilities: FloatArray, targets: NDArray[np.integer[Any]]) -> FloatArray:
    squares = np.einsum("...c,...c->...", probabilities, probabilities)
    # Rounding can push the score of a certain and correct prediction below 0.
    return np.asarray(np.maximum(squares - 2.0 * _at_targets(probabilities, targets) + 1.0, 0.0))


class _TopLabel(NamedTuple):
    """Bin, confidence and correctness (..., examples) of the top label."""

    bin: NDArray[np.intp]
    confidence: FloatArray
    correct: FloatArray


def _top_label(probabilities: FloatArray, targets: NDArray[np.integer[Any]], bins: int) -> _TopLabel:
    label = probabilities.argmax(axis=-1)
    confidence = np.take_along_axis(probabilities, label[..., None], axis=-1)[..., 0]
    inner = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    index = np.searchsorted(inner, confidence, side="left")
    return _TopLabel(index, confidence, (label == targets).astype(np.float64))


def _pooled(top: _TopLabel, bins: int) -> ReliabilityBins:
    index, confidence, correct = (part.ravel() for part in top)
    count = np.bincount(index, minlength=bins)
    filled = np.where(count > 0, count, np.nan)
    edges = np.linspace(0.0, 1.0, bins + 1)
    return ReliabilityBins(
        edges[:-1],
        edges[1:],
        np.bincount(index, weights=confidence, minlength=bins) / filled,
        np.bincount(index, weights=correct, minlength=bins) / filled,
        count.astype(np.int64),
    )


def _ece(top: _TopLabel, bins: int) -> FloatArray:
    leading = top.bin.shape[:-1]
    rows = top.bin.reshape(-1, top.bin.shape[-1])
    cells = rows + bins * np.arange(len(rows))[:, None]
    gaps = np.bincount(cells.ravel(), weights=(top.confidence - top.correct).ravel(), minlength=bins * len(rows))
    return np.asarray(np.abs(gaps.reshape(-1, bins)).sum(axis=1).reshape(leading) / top.bin.shape[-1])


def _kl(log_probabilities: FloatArray, teacher: FloatArray) -> FloatArray:
    # Only where the teacher has mass: 0 times a student's log 0 counts as 0.
    mass = teacher > 0.0
    if np.isneginf(log_probabilities).any():
        log_probabilities = np.where(mass, log_probabilities, 0.0)
    cross = np.einsum("ec,...ec->...", teacher, log_probabilities)
    return np.asarray((xlogy(teacher, teacher).sum() - cross) / len(teacher))
