"""Estimates for one prompt against enumeration of all that speakers may say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from kd_uncertainty.language.measures import (
    entropy,
    label_counts,
    label_moments,
    modal_labels,
    point_moments,
    semantic_spread,
)

CHANCES = np.array([0.5, 0.3, 0.2])
POINTS = np.array([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]])


def outcomes(samples: int) -> tuple[np.ndarray, np.ndarray]:
    """All that a speaker may say, (outcomes, samples), and how probable it is."""
    said = np.array(list(itertools.product(range(3), repeat=samples)))
    return said, CHANCES[said].prod(axis=1)


@pytest.mark.parametrize("samples", [2, 3])
def test_variances_are_free_of_bias(samples):
    said, chance = outcomes(samples)
    mean = CHANCES @ POINTS
    variance = CHANCES @ np.square(POINTS - mean).sum(axis=1)
    found = point_moments(POINTS[said])
    assert chance @ found.variance == pytest.approx(variance, abs=1e-12)
    np.testing.assert_allclose(chance @ found.means, mean, atol=1e-12)
    differ = chance @ label_moments(label_counts(said)).variance
    assert differ == pytest.approx(1.0 - np.square(CHANCES).sum(), abs=1e-12)


def test_answers_are_points_at_corners():
    said = np.random.default_rng(0).integers(5, size=(6, 7))
    points, labels = point_moments(np.eye(5)[said]), label_moments(label_counts(said))
    np.testing.assert_allclose(points.variance, labels.variance, atol=1e-12)
    np.testing.assert_allclose(points.means, labels.means[:, :5], atol=1e-12)


def test_equal_answers_do_not_vary_at_all():
    vectors = np.random.default_rng(1).standard_normal((2, 1, 30)).repeat(7, axis=1).astype(np.float32)
    assert (point_moments(vectors).variance == 0.0).all()
    assert (label_moments(np.array([[7, 0]])).variance == 0.0).all()
    assert (entropy(np.array([[7, 0]])) == 0.0).all()
    assert np.isnan(point_moments(vectors[:, :1]).variance).all()


def test_the_modal_answer_is_the_most_frequent_and_then_the_first():
    said = np.array([[2, 1, 1, 0], [2, 1, 1, 2], [0, 1, 2, 3], [3, 2, 1, 0], [0, 3, 3, 0]])
    assert modal_labels(said).tolist() == [1, 2, 0, 3, 0]


def test_entropy_has_lost_most_of_its_bias():
    assert entropy(np.array([[3, 1]]))[0] == pytest.approx(-0.75 * np.log(0.75) - 0.25 * np.log(0.25) + 1.0 / 8.0)
    said, chance = outcomes(8)
    counts = label_counts(said)
    shares = counts / 8.0
    plain = chance @ -(shares * np.log(np.where(shares > 0, shares, 1.0))).sum(axis=1)
    truth = -(CHANCES * np.log(CHANCES)).sum()
    assert abs(chance @ entropy(counts) - truth) < 0.25 * abs(plain - truth)


def test_clusters_are_of_a_speakers_own_answers():
    angles = np.array([0.0, 0.1, np.pi / 2, np.pi])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    spread, number = semantic_spread(np.array([[0, 1, 0, 1], [2, 0, 1, 1], [0, 2, 3, 3], [3, 3, 3, 3]]), vectors, 0.8)
    assert number.tolist() == [1.0, 2.0, 3.0, 1.0]
    np.testing.assert_allclose(spread, entropy(np.array([[4, 0, 0], [1, 3, 0], [1, 1, 2], [4, 0, 0]])))
