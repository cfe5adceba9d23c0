"""Answers that mean the same, as clusters of their embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

_ROUNDING = 1e-6  # of cosines of float32 vectors, so that a similarity equal to the threshold is not below it


def semantic_clusters(embeddings: NDArray[Any], threshold: float) -> NDArray[np.int64]:
    """Return the cluster of each answer, (answers,), numbered from 0 in the order of first appearance.

    Agglomerative clustering with average linkage of the distances ``1 - cos``: the two clusters whose answers are
    nearest on average are merged as long as that mean is at most ``1 - threshold`` (Sokal & Michener 1958). So answers
    of one cluster have a mean similarity of at least the threshold wherever two parts of it were merged, which single
    linkage, in which a chain of neighbours connects all, does not give. Repeated answers count as often as they are
    given.

    Args:
        embeddings: (answers, dimensions), any length but zero.
        threshold: cosine similarity, above -1 and at most 1.

    Raises:
        ValueError: if an embedding is zero or not finite.
    """
    vectors = np.asarray(embeddings, dtype=np.float64)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True) if len(vectors) else np.ones((0, 1))
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError("an embedding is zero or not finite, so it has no direction")
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    vectors = vectors / lengths
    distances = np.clip(1.0 - vectors @ vectors.T, 0.0, None)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average")
    return _in_order(fcluster(tree, t=1.0 - threshold + _ROUNDING, criterion="distance"))


def _in_order(labels: NDArray[Any]) -> NDArray[np.int64]:
    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels.tolist()))}
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.int64)
