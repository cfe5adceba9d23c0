"""Log-odds against their definition, and where the definition overflows."""

import numpy as np
import pytest
from scipy.special import softmax

from kd_uncertainty.deviations.logits import chosen_classes, posterior_mean_logits, stable_logit


def test_log_odds_are_those_of_the_softmax_where_these_can_be_computed():
    generator = np.random.default_rng(0)
    logits = 3.0 * generator.standard_normal((4, 50, 5))
    classes = generator.integers(0, 5, 50)
    p = softmax(logits, axis=-1)[:, np.arange(50), classes]
    np.testing.assert_allclose(stable_logit(logits, classes), np.log(p / (1.0 - p)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([1000.0, 0.0], 1000.0),
        ([-1000.0, 0.0], -1000.0),
        ([1000.0, -1000.0, -1000.0], 2000.0 - np.log(2.0)),
        ([-1000.0, 1000.0, 1000.0], -2000.0 - np.log(2.0)),
        ([0.0, 1000.0, -1000.0], -1000.0),
        ([50.0, 0.0, -np.inf], 50.0),
        ([0.0, -np.inf, -np.inf], np.inf),
        ([-np.inf, 0.0, 0.0], -np.inf),
    ],
)
def test_log_odds_of_the_first_class_are_exact_at_any_confidence(logits, expected):
    assert stable_logit(np.array([logits]), np.array([0]))[0] == pytest.approx(expected, rel=1e-14)


def test_log_odds_do_not_change_when_a_number_is_added_to_all_logits():
    generator = np.random.default_rng(1)
    logits = generator.standard_normal((30, 4))
    classes = chosen_classes(logits)
    for shift in (-1000.0, 1000.0):
        np.testing.assert_allclose(stable_logit(logits + shift, classes), stable_logit(logits, classes), atol=1e-10)


def test_leading_axes_broadcast():
    generator = np.random.default_rng(2)
    students, classes = generator.standard_normal((3, 20, 4)), generator.integers(0, 4, (3, 20))
    both = stable_logit(students, classes)
    for number in range(3):
        np.testing.assert_array_equal(both[number], stable_logit(students[number], classes[number]))
    np.testing.assert_array_equal(stable_logit(students, classes[0])[2], stable_logit(students[2], classes[0]))
    np.testing.assert_array_equal(stable_logit(students[0], classes)[1], stable_logit(students[0], classes[1]))


def test_a_single_class_has_no_odds():
    with pytest.raises(ValueError, match="two classes at least, not 1"):
        stable_logit(np.zeros((3, 1)), np.zeros(3, dtype=int))


def test_the_posterior_mean_is_of_probabilities_and_its_logarithm_does_not_underflow():
    logits = np.random.default_rng(3).standard_normal((6, 7, 3))
    expected = np.log(softmax(logits, axis=-1).mean(axis=1))
    np.testing.assert_allclose(posterior_mean_logits(logits), expected, rtol=1e-12)
    sure = np.array([[[0.0, -2000.0], [0.0, -1000.0]]])
    np.testing.assert_allclose(posterior_mean_logits(sure), [[0.0, -1000.0 - np.log(2.0)]])
