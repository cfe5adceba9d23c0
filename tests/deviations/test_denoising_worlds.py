"""Worlds with similar classes: their geometry, their labels, and their independence."""

import numpy as np
import pytest

from kd_uncertainty.deviations._denoising_options import DenoisingOptions
from kd_uncertainty.deviations._denoising_worlds import draw_worlds, drawn_labels, softmax

SMALL = {"num_examples": 40, "tail_size": 30, "num_seeds": 5}


def worlds(signal="top", similarity=0.5, **settings):
    return draw_worlds(DenoisingOptions(**{**SMALL, **settings}), signal, similarity)


@pytest.mark.parametrize("signal", ["top", "spread"])
@pytest.mark.parametrize("similarity", [0.0, 0.3, 0.9])
def test_classes_of_a_group_have_that_cosine_and_logits_that_deviation(signal, similarity):
    """Weights less their mean have inner products c^2 (C - row means - column means + mean), with C the cosines."""
    found = worlds(signal, similarity, num_groups=2, logit_deviation=3.0)
    blocks = np.kron(np.eye(2), np.ones((3, 3)))
    cosines = similarity * blocks + (1.0 - similarity) * np.eye(6)
    centring = np.eye(6) - 1.0 / 6.0
    used = 12 if signal == "top" else 42
    squared = 9.0 / found.variances[:used].mean()
    for weights in found.weights:
        np.testing.assert_allclose(weights.T @ weights, squared * centring @ cosines @ centring, atol=1e-11)


def test_the_signal_is_in_the_top_block_or_everywhere():
    top, spread = worlds("top"), worlds("spread")
    assert (top.weights[:, 12:] == 0.0).all()
    assert (np.abs(spread.weights[:, 12:]).max(axis=(1, 2)) > 0.0).all()
    # Uniform directions: the tail has 30 of 42 directions, and that share of the squared weights on average.
    squares = (worlds("spread", num_seeds=200).weights ** 2).sum(axis=2)
    shares = squares[:, 12:].sum(axis=1) / squares.sum(axis=1)
    assert abs(shares.mean() - 30 / 42) < 4 * shares.std() / np.sqrt(200)


def test_inputs_have_the_block_covariance():
    found = worlds(num_examples=400, num_seeds=20, top_variance=2.0)
    assert found.variances.tolist() == [2.0] * 12 + [0.1] * 30
    ratios = (found.inputs**2).mean(axis=(0, 1)) / found.variances
    assert np.abs(ratios - 1.0).max() < 5 * np.sqrt(2.0 / 8000)


def test_probabilities_are_the_softmax_of_true_logits_and_labels_are_drawn_from_them():
    found = worlds(num_examples=400, num_seeds=20)
    logits = np.einsum("snd,sdk->snk", found.inputs, found.weights)
    powers = np.exp(logits)
    np.testing.assert_allclose(found.probabilities, powers / powers.sum(axis=-1, keepdims=True), rtol=1e-10)
    assert found.one_hot.sum(axis=-1).max() == 1.0
    assert (found.one_hot.argmax(axis=-1) == found.labels).all()
    # z scores of class counts within bins of probability
    for low, high in [(0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.0)]:
        inside = (found.probabilities >= low) & (found.probabilities < high)
        p, hits = found.probabilities[inside], found.one_hot[inside]
        assert abs((hits - p).sum()) < 4 * np.sqrt((p * (1 - p)).sum())


def test_labels_invert_the_distribution_function_by_hand():
    probabilities = np.tile([0.25, 0.0, 0.5, 0.25], (6, 1))
    numbers = np.array([0.0, 0.2499, 0.25, 0.7499, 0.75, 0.9999])
    assert drawn_labels(probabilities, numbers).tolist() == [0, 0, 2, 2, 3, 3]
    rounded = np.array([[0.1] * 10])  # sums to 0.9999999999999999
    assert drawn_labels(rounded, np.array([np.nextafter(1.0, 0.0)])).tolist() == [9]


def test_logits_may_be_large():
    np.testing.assert_array_equal(softmax(np.array([1000.0, 0.0, -1000.0])), [1.0, 0.0, 0.0])


def test_seeds_are_independent_of_their_number_and_of_one_another():
    few, more = worlds(num_seeds=3), worlds(num_seeds=5)
    for one, other in zip(few[:4], more[:4], strict=True):
        np.testing.assert_array_equal(one, other[:3])
    flat = more.inputs[:, :, :12].reshape(5, -1)
    correlations = np.corrcoef(flat)[np.triu_indices(5, 1)]
    assert np.abs(correlations).max() < 4.5 / np.sqrt(flat.shape[1])
    assert not np.array_equal(worlds(seed=17).inputs, more.inputs)


def test_signals_and_similarities_share_inputs():
    one, other = worlds("top", 0.0), worlds("spread", 0.8)
    np.testing.assert_array_equal(one.inputs, other.inputs)
    assert (one.labels == other.labels).mean() < 1.0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_groups": 1, "group_size": 1}, "one class"),
        ({"tail_variance": 2.0}, "exchange"),
        ({"top_size": 11}, "raise it to 12"),
        ({"similarities": [1.0]}, "similarities"),
        ({"learning_rate": 2.0}, "learning_rate"),
        ({"teacher_steps": [0]}, "teacher_steps"),
        ({"num_seeds": 2}, "num_seeds"),
        ({"signals": ["bottom"]}, "signals"),
        ({"seeds": 3}, "Extra inputs"),
    ],
)
def test_options_refuse_what_cannot_work(settings, message):
    with pytest.raises(ValueError, match=message):
        DenoisingOptions(**settings)
