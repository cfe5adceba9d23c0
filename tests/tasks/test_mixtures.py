"""Class probabilities against densities, against frequencies, and as a linear softmax."""

import numpy as np
import pytest
from pydantic import ValidationError
from scipy.stats import multivariate_normal

from kd_uncertainty.tasks.mixtures import MixtureOptions, class_probabilities, linear_softmax, make_mixture, sample

SMALL = {"num_classes": 3, "num_inputs": 4, "variance": 2.0, "weights": [1.0, 2.0, 5.0], "seed": 3}


@pytest.fixture(params=["isotropic", "shared"])
def mixture(request):
    return make_mixture(MixtureOptions(**SMALL, covariance=request.param))


def test_probabilities_are_the_ratios_of_densities(mixture):
    inputs, _ = sample(mixture, 500, seed=1)
    joint = np.stack(
        [
            weight * multivariate_normal(mean, mixture.covariance).pdf(inputs)
            for weight, mean in zip(mixture.weights, mixture.means, strict=True)
        ],
        axis=1,
    )
    expected = joint / joint.sum(1, keepdims=True)
    np.testing.assert_allclose(class_probabilities(mixture, inputs), expected, rtol=1e-9, atol=1e-300)


def test_classes_are_as_frequent_as_their_probability_says(mixture):
    """In bins of P(c | x): the share of class c is the mean of P(c | x), within 4.5 standard errors."""
    inputs, labels = sample(mixture, 60_000, seed=2)
    probabilities = class_probabilities(mixture, inputs)
    np.testing.assert_allclose(probabilities.sum(1), 1.0, atol=1e-14)
    checked = 0
    for label in range(3):
        bins = np.minimum((probabilities[:, label] * 10).astype(int), 9)
        for number in np.unique(bins):
            rows = bins == number
            expected = probabilities[rows, label]
            error = np.sqrt((expected * (1 - expected)).sum())
            assert abs((labels[rows] == label).sum() - expected.sum()) < 4.5 * error + 1
            checked += rows.sum() > 100
    assert checked > 20


def test_a_linear_softmax_is_exact(mixture):
    inputs, _ = sample(mixture, 300, seed=4)
    weights, intercepts = linear_softmax(mixture)
    logits = inputs @ weights.T + intercepts
    found = np.log(class_probabilities(mixture, inputs))
    np.testing.assert_allclose(found - found[:, :1], logits - logits[:, :1], atol=1e-10)


def test_far_from_the_means_probabilities_stay_finite(mixture):
    probabilities = class_probabilities(mixture, np.full((2, 4), 1e6) * [[1.0], [-1.0]])
    assert np.isfinite(probabilities).all()
    np.testing.assert_allclose(probabilities.sum(1), 1.0)


def test_points_have_the_moments_of_their_class(mixture):
    inputs, labels = sample(mixture, 80_000, seed=5)
    np.testing.assert_allclose(np.bincount(labels) / 80_000, mixture.weights, atol=4.5 * np.sqrt(0.25 / 80_000), rtol=0)
    own = inputs[labels == 2] - mixture.means[2]
    scale = np.sqrt(np.diag(mixture.covariance))
    assert (np.abs(own.mean(0)) < 4.5 * scale / np.sqrt(len(own))).all()
    # variance of an entry of a sample covariance: (S_ii S_jj + S_ij^2) / n, at most 2 S_ii S_jj / n
    bound = 4.5 * np.sqrt(2.0 / len(own)) * np.outer(scale, scale)
    assert (np.abs(np.cov(own.T) - mixture.covariance) < bound).all()


def test_the_defaults_are_the_papers_task():
    mixture = make_mixture(MixtureOptions())
    assert mixture.means.shape == (5, 30)
    assert set(np.unique(mixture.means)) == {4.0, 5.0, 6.0}
    np.testing.assert_array_equal(mixture.covariance, 2.5 * np.eye(30))
    np.testing.assert_array_equal(mixture.weights, 0.2)


def test_a_shared_covariance_is_full_with_the_variance_as_its_mean():
    covariance = make_mixture(MixtureOptions(covariance="shared", num_inputs=6, variance=3.0)).covariance
    assert np.trace(covariance) / 6 == pytest.approx(3.0)
    assert (np.linalg.eigvalsh(covariance) > 0).all()
    assert np.abs(covariance - np.diag(np.diag(covariance))).max() > 0.1


def test_fewer_points_are_the_first_of_more_and_the_seed_decides():
    mixture = make_mixture(MixtureOptions(**SMALL))
    few, many = sample(mixture, 10, seed=7), sample(mixture, 50, seed=7)
    np.testing.assert_array_equal(few[0], many[0][:10])
    np.testing.assert_array_equal(few[1], many[1][:10])
    assert not np.array_equal(sample(mixture, 10, seed=8)[0], few[0])
    other = make_mixture(MixtureOptions(**SMALL | {"seed": 4}))
    assert not np.array_equal(other.means, mixture.means)


def test_no_two_classes_share_a_mean():
    options = MixtureOptions(num_classes=9, num_inputs=2, mean_values=(0.0, 1.0, 2.0))
    assert len(np.unique(make_mixture(options).means, axis=0)) == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"means": [[0.0, 1.0]] * 3}, r"3 rows of length 2; it needs num_classes x num_inputs = 3 x 4"),
        ({"means": [[0.0] * 4, [1.0] * 4]}, r"2 rows of length 4"),
        ({"weights": [1.0, 2.0]}, "2 entries for 3 classes"),
        ({"weights": [1.0, 2.0, -1.0]}, "greater than 0"),
        ({"variance": 0.0}, "greater than 0"),
        ({"num_classes": 1}, "greater than or equal to 2"),
        ({"mean_values": [5.0]}, "1 mean_values in 4 inputs cannot make 3 different means"),
        ({"covariance": "own"}, "isotropic"),
        ({"classes": 3}, "classes"),
    ],
)
def test_what_cannot_be_is_refused(change, words):
    with pytest.raises(ValidationError, match=words):
        MixtureOptions(**SMALL | change)
