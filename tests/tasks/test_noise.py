"""Noise on labels: what is drawn against what its transition says."""

import itertools

import numpy as np
import pytest

from kd_uncertainty.tasks.noise import flip_labels, flip_transition, transition_labels

TRANSITION = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]])


def test_flipped_labels_are_as_frequent_as_the_transition_says():
    labels = np.arange(40_000) % 5
    noisy = flip_labels(labels, np.arange(40_000), 5, 0.3, seed=3)
    found = np.zeros((5, 5))
    np.add.at(found, (labels, noisy), 1.0)
    expected = flip_transition(5, 40_000, 0.3)
    error = np.sqrt(expected * (1 - expected) / 8_000)
    assert (np.abs(found / 8_000 - expected) < 4 * error).all()


def test_the_flip_transition_is_symmetric_noise_of_the_exact_share():
    transition = flip_transition(4, 10, 0.25)  # round(2.5) = 2 of 10 labels
    np.testing.assert_allclose(transition, 0.8 * np.eye(4) + 0.2 / 3 * (np.ones((4, 4)) - np.eye(4)), atol=1e-15)
    np.testing.assert_array_equal(flip_transition(4, 10, 0.0), np.eye(4))


def test_each_flip_has_its_probability_by_enumeration():
    """Over all choices of flipped rows and all shifts, each equally likely: the marginal of every label."""
    labels, classes = np.array([0, 2, 1, 1]), 3
    counts = np.zeros((4, classes))
    for chosen in itertools.combinations(range(4), round(0.5 * 4)):
        for shifts in itertools.product(range(1, classes), repeat=len(chosen)):
            noisy = labels.copy()
            noisy[list(chosen)] = (labels[list(chosen)] + shifts) % classes
            counts[np.arange(4), noisy] += 1.0
    np.testing.assert_allclose(counts / counts.sum(1, keepdims=True), flip_transition(classes, 4, 0.5)[labels])


def test_a_transition_redraws_each_row_by_its_class():
    labels, rows = np.arange(90_000) % 3, np.arange(0, 90_000, 2)
    noisy = transition_labels(labels, rows, TRANSITION, seed=5)
    np.testing.assert_array_equal(noisy[1::2], labels[1::2])
    found = np.zeros((3, 3))
    np.add.at(found, (labels[rows], noisy[rows]), 1.0)
    error = np.sqrt(TRANSITION * (1 - TRANSITION) / 15_000)
    assert (np.abs(found / 15_000 - TRANSITION) <= 4 * error).all()  # probabilities of 0 and 1 are met exactly


def test_a_permutation_is_a_transition():
    labels = np.array([0, 1, 2, 2])
    noisy = transition_labels(labels, np.arange(4), np.eye(3)[[2, 0, 1]], seed=0)
    assert noisy.tolist() == [2, 0, 1, 1]


def test_rows_of_a_transition_are_drawn_independently():
    """Flips of neighbours are uncorrelated, within 4 standard errors."""
    labels = np.zeros(40_000, dtype=np.int64)
    flipped = transition_labels(labels, np.arange(40_000), TRANSITION, seed=6) != 0
    assert flipped.mean() == pytest.approx(0.3, abs=4 * np.sqrt(0.21 / 40_000))
    assert abs(np.corrcoef(flipped[:-1], flipped[1:])[0, 1]) < 4 / np.sqrt(40_000)
