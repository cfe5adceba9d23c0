import numpy as np
import pytest
from sklearn.cluster import AgglomerativeClustering

from kd_uncertainty.language.clusters import semantic_clusters


def merged_by_hand(embeddings, threshold):
    """Average linkage by its definition: merge the two nearest clusters while their mean distance allows it."""
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    distances = 1 - unit @ unit.T
    clusters = [[row] for row in range(len(unit))]
    while len(clusters) > 1:
        pairs = [(i, j) for i in range(len(clusters)) for j in range(i)]
        means = [distances[np.ix_(clusters[i], clusters[j])].mean() for i, j in pairs]
        i, j = pairs[int(np.argmin(means))]
        if min(means) > 1 - threshold:
            break
        clusters[j] += clusters.pop(i)
    return {frozenset(cluster) for cluster in clusters}


def as_sets(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in set(labels.tolist())}


def direction(degrees):
    return np.cos(np.radians(degrees)), np.sin(np.radians(degrees))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.8])
def test_clusters_are_those_of_average_linkage(threshold):
    generator = np.random.default_rng(0)
    for _ in range(10):
        embeddings = generator.normal(size=(12, 3)) + 1
        labels = semantic_clusters(embeddings, threshold)
        assert as_sets(labels) == merged_by_hand(embeddings, threshold)
        scikit = AgglomerativeClustering(None, metric="cosine", linkage="average", distance_threshold=1 - threshold)
        assert as_sets(labels) == as_sets(scikit.fit(embeddings).labels_)


def test_a_chain_of_neighbours_is_no_cluster():
    chain = np.array([direction(degrees) for degrees in range(0, 180, 20)])
    labels = semantic_clusters(chain, 0.9)
    assert len(set(labels.tolist())) > 1
    assert np.bincount(labels).max() <= 3


def test_a_similarity_equal_to_the_threshold_is_enough():
    pair = np.array([direction(0), direction(60)], dtype=np.float32)
    assert semantic_clusters(pair, 0.5).tolist() == [0, 0]
    assert semantic_clusters(pair, 0.501).tolist() == [0, 1]


def test_numbers_follow_the_first_appearance_and_lengths_do_not_matter():
    answers = np.array([direction(90), direction(0), direction(91), direction(180), direction(2)])
    expected = [0, 1, 0, 2, 1]
    assert semantic_clusters(answers, 0.9).tolist() == expected
    assert semantic_clusters(answers * np.arange(1, 6)[:, None], 0.9).tolist() == expected


def test_equal_answers_are_one_cluster_at_any_threshold():
    answers = np.repeat(np.random.default_rng(1).normal(size=(3, 5)).astype(np.float32), 4, axis=0)
    assert semantic_clusters(answers, 1.0).tolist() == [0] * 4 + [1] * 4 + [2] * 4


def test_few_answers():
    assert semantic_clusters(np.empty((0, 4)), 0.8).tolist() == []
    assert semantic_clusters(np.ones((1, 4)), 0.8).tolist() == [0]


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_an_embedding_without_direction_is_an_error(value):
    with pytest.raises(ValueError, match="no direction"):
        semantic_clusters(np.array([[1.0, 0.0], [value, 0.0]]), 0.8)
