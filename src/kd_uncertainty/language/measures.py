"""What is measured of the answers to one prompt: spread, modal answer, entropy, clusters.

Speakers are students, or groups of the teacher's draws; each gives as many answers (samples). Labels number normalised
answers from 0.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.language.clusters import semantic_clusters

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


class Moments(NamedTuple):
    """Mean and variance of every speaker's answers to a prompt.

    Attributes:
        means: (speakers, dimensions).
        variance: (speakers,) unbiased trace of the covariance of one answer; NaN of a single answer.
    """

    means: Floats
    variance: Floats


def point_moments(points: NDArray[Any]) -> Moments:
    """Return ``m = mean e_i`` and ``sum_i |e_i - m|^2 / (n - 1)`` of every speaker.

    Args:
        points: (speakers, samples, dimensions), such as embeddings.
    """
    values = np.asarray(points, dtype=np.float64)
    first = values[:, :1]
    shifted = values - first  # so that equal answers have a variance of exactly 0
    offset = shifted.mean(axis=1)
    squares = np.square(shifted - offset[:, None]).sum(axis=(1, 2))
    samples = values.shape[1]
    variance = squares / (samples - 1) if samples > 1 else np.full(len(values), np.nan)
    return Moments(first[:, 0] + offset, variance)


def label_moments(counts: NDArray[Any]) -> Moments:
    """Return the shares ``p`` of answers and ``n / (n - 1) (1 - sum_a p_a^2)`` of every speaker.

    It is what ``point_moments`` returns where every answer is a corner of its own, (1, 0, 0, ...): the variance is the
    unbiased estimate of the probability that two answers differ (Simpson 1949, "Measurement of diversity").

    Args:
        counts: (speakers, answers) of ``label_counts``.
    """
    shares, samples = _shares(counts)
    pairs = np.where(samples > 1, samples * (samples - 1), np.nan)
    same = np.asarray(counts, dtype=np.float64)
    return Moments(shares, 1.0 - (same * (same - 1)).sum(axis=1) / pairs)


def label_counts(labels: Labels) -> NDArray[np.int64]:
    """Return how often every speaker gives each answer, (speakers, answers), from labels (speakers, samples)."""
    speakers, num_answers = len(labels), int(labels.max()) + 1
    cells = labels + num_answers * np.arange(speakers)[:, None]
    return np.bincount(cells.ravel(), minlength=speakers * num_answers).reshape(speakers, num_answers)


def modal_labels(labels: Labels) -> Labels:
    """Return the most frequent label of every speaker, (speakers,); of equally frequent ones the first given.

    Samples are exchangeable, so the first given is a fair choice, and one that is not the same for all speakers.

    Args:
        labels: (speakers, samples).
    """
    samples = labels.shape[1]
    rank = label_counts(labels) * (samples + 1)
    first = np.full(rank.shape, samples)
    rows = np.arange(len(labels))
    for sample in reversed(range(samples)):
        first[rows, labels[:, sample]] = sample
    return np.asarray((rank - first).argmax(axis=1), dtype=np.int64)


def entropy(counts: NDArray[Any]) -> Floats:
    """Return the entropy of every speaker's answers in nats, (speakers,): ``-sum p log p + (A - 1) / (2 n)``.

    p are shares and A is the number of different answers given. The second term takes off most of the bias of the
    first, which is too small (Miller 1955, "Note on the bias of information estimates"). It is exactly 0 where all
    answers are the same.

    Args:
        counts: (speakers, answers).
    """
    shares, samples = _shares(counts)
    logs = np.log(np.where(shares > 0, shares, 1.0))
    return np.asarray(-(shares * logs).sum(axis=1) + ((shares > 0).sum(axis=1) - 1) / (2.0 * samples)) + 0.0


def semantic_spread(texts: NDArray[Any], vectors: NDArray[Any], threshold: float) -> tuple[Floats, Floats]:
    """Return the entropy over semantic clusters, as ``entropy``, and the number of clusters of every speaker.

    A speaker's answers are clustered by themselves (Kuhn, Gal & Farquhar 2023, "Semantic uncertainty", with embeddings
    in place of entailment).

    Args:
        texts: (speakers, samples) rows of ``vectors``.
        vectors: (texts, dimensions) embeddings.
        threshold: of ``semantic_clusters``.
    """
    known: dict[tuple[int, ...], tuple[float, float]] = {}
    found = []
    for row in np.sort(texts, axis=1):
        key = tuple(row.tolist())
        if key not in known:
            known[key] = _clustered(row, vectors, threshold)
        found.append(known[key])
    both = np.array(found, dtype=np.float64)
    return both[:, 0], both[:, 1]


def _clustered(row: NDArray[Any], vectors: NDArray[Any], threshold: float) -> tuple[float, float]:
    if row[0] == row[-1]:
        return 0.0, 1.0
    counts = np.bincount(semantic_clusters(vectors[row], threshold))
    return float(entropy(counts[None])[0]), float(len(counts))


def _shares(counts: NDArray[Any]) -> tuple[Floats, Floats]:
    samples = np.asarray(counts.sum(axis=1), dtype=np.float64)
    return counts / samples[:, None], samples
