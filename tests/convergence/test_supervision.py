"""Targets: their moments, and the gradient noise in closed form against enumeration and exact moments."""

import itertools
import math

import numpy as np
import pytest

from kd_uncertainty.convergence.gradient_noise import gradients
from kd_uncertainty.convergence.supervision import (
    EXACT,
    ONE_HOT,
    LabelStreams,
    Source,
    Supervision,
    best_mixing,
    break_even,
    deviations,
    generators_of,
    gradient_noise,
    noise_of,
    supervisions,
)

from .worlds import world


def squared_gradients(one, targets):
    """Each example's squared gradient norm at theta*."""
    return (gradients(one, one.weights, targets) ** 2).sum(axis=(1, 2))


def test_one_hot_noise_is_the_expectation_over_all_labels():
    one = world()
    expected = sum(
        one.probabilities[:, label] * squared_gradients(one, np.tile(np.eye(4)[label], (30, 1))) for label in range(4)
    ).mean()
    assert gradient_noise(one, ONE_HOT) == pytest.approx(expected, rel=1e-12)


def test_one_hot_noise_is_the_trace_of_the_hessian():
    """Fisher's information: the labels' noise has the Hessian as its covariance."""
    from kd_uncertainty.convergence.curvature import hessian

    one = world()
    assert gradient_noise(one, ONE_HOT) == pytest.approx(np.trace(hessian(one.inputs, one.probabilities)), rel=1e-12)


def test_dirichlet_noise_follows_from_its_second_moments():
    one, level = world(), 1.7
    P = one.probabilities
    variances = P * (1.0 - P) / (1.0 + level)  # of Dirichlet(a P); targets sum to 1, so the gradient is -e (x) x
    expected = (variances.sum(axis=1) * (one.inputs**2).sum(axis=1)).mean()
    assert gradient_noise(one, Supervision("dirichlet", level)) == pytest.approx(expected, rel=1e-12)


def test_additive_noise_is_the_expectation_over_noise_of_two_values():
    """The noise is quadratic in e: components of +-sqrt(nu), all combinations, have the moments of the normal ones."""
    one, level = world(), 0.3
    signs = list(itertools.product((-1.0, 1.0), repeat=4))
    expected = np.mean([squared_gradients(one, one.probabilities + math.sqrt(level) * np.array(e)) for e in signs])
    assert gradient_noise(one, Supervision("additive", level)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("teacher", [Supervision("dirichlet", 2.0), Supervision("additive", 0.05)])
def test_a_mixtures_noise_is_a_parabola_least_at_lambda_star(teacher):
    one = world()
    weights = np.linspace(0.0, 1.0, 1001)
    noise = [gradient_noise(one, teacher._replace(mixing=weight)) for weight in weights]
    assert noise[0] == pytest.approx(gradient_noise(one, ONE_HOT), rel=1e-12)
    assert noise[-1] == gradient_noise(one, teacher)
    assert best_mixing(one, teacher) == pytest.approx(weights[np.argmin(noise)], abs=1e-3)


def test_lambda_star_of_dirichlet_is_its_known_value_and_break_even_breaks_even():
    one = world()
    assert best_mixing(one, Supervision("dirichlet", 3.0)) == pytest.approx(4.0 / 5.0, rel=1e-12)
    even = Supervision("additive", break_even(one))
    assert gradient_noise(one, even) == pytest.approx(gradient_noise(one, ONE_HOT), rel=1e-12)


def test_exact_probabilities_have_no_noise():
    assert gradient_noise(world(), EXACT) == 0.0


DRAWS = 60_000


@pytest.mark.parametrize(
    ("source", "covariance"),
    [
        (Source("one_hot"), lambda p: np.diag(p) - np.outer(p, p)),
        (Source("additive"), lambda p: np.eye(len(p))),
        (Source("dirichlet", 0.5), lambda p: (np.diag(p) - np.outer(p, p)) / 1.5),
        (Source("dirichlet", 5.0), lambda p: (np.diag(p) - np.outer(p, p)) / 6.0),
    ],
)
def test_deviations_have_mean_zero_and_their_covariance(source, covariance):
    p = np.array([0.6, 0.3, 0.09, 0.01])
    drawn = deviations(source, np.broadcast_to(p, (DRAWS, 4)), generators_of(3, "test", source))
    products = drawn[:, :, None] * drawn[:, None, :]
    for values, expected in ((drawn, np.zeros(4)), (products, covariance(p))):
        error = values.std(axis=0) / math.sqrt(DRAWS)
        assert (np.abs(values.mean(axis=0) - expected) <= 4.5 * error + 1e-15).all()


def test_one_hot_deviations_are_labels():
    p = np.array([[0.0, 0.5, 0.5, 0.0], [1.0, 0.0, 0.0, 0.0]])
    labels = deviations(Source("one_hot"), np.repeat(p, 200, axis=0), generators_of(0, "test", Source("one_hot")))
    labels += np.repeat(p, 200, axis=0)
    assert set(labels[:200].argmax(axis=1)) == {1, 2}
    assert (labels[200:].argmax(axis=1) == 0).all()
    np.testing.assert_allclose(np.sort(labels, axis=1), np.tile([0.0, 0.0, 0.0, 1.0], (400, 1)), atol=1e-15)


def test_dirichlet_of_a_tiny_shape_is_a_distribution():
    p = np.array([[1e-9, 1e-200, 0.0, 1.0], [0.25, 0.25, 0.25, 0.25]])
    source = Source("dirichlet", 1e-3)
    targets = np.repeat(p, 500, axis=0)
    targets = targets + deviations(source, targets, generators_of(0, "test", source))
    assert np.isfinite(targets).all()
    np.testing.assert_allclose(targets.sum(axis=1), 1.0, rtol=1e-12)
    assert targets.min() > -1e-15
    counts = np.bincount(targets[500:].argmax(axis=1), minlength=4)
    assert (np.abs(counts - 125) < 4.5 * math.sqrt(500 * 3 / 16)).all()


def test_arms_are_weights_of_shared_sources():
    arms = [ONE_HOT, EXACT, Supervision("additive", 0.04, 0.5), Supervision("dirichlet", 2.0, 0.25)]
    noise = noise_of(arms)
    assert noise.sources == [Source("one_hot"), Source("additive"), Source("dirichlet", 2.0)]
    np.testing.assert_allclose(noise.weights, [[1, 0, 0], [0, 0, 0], [0.5, 0.1, 0], [0.75, 0, 0.25]], rtol=1e-15)


def test_arms_say_what_they_are():
    assert [arm.arm for arm in supervisions([0.1], [2.0])] == ["one_hot", "exact", "additive", "dirichlet"]
    assert Supervision("dirichlet", 2.0, 0.5).keys == {"arm": "mixture", "level": 2.0, "mixing": 0.5}
    assert Supervision("dirichlet", 2.0, 0.0).arm == "one_hot"
    assert math.isnan(ONE_HOT.keys["level"])
    assert ONE_HOT.keys["mixing"] == 1.0


def test_streams_depend_on_the_seed_alone():
    one, sources = world(), [Source("one_hot"), Source("dirichlet", 1.0)]
    streams = LabelStreams(one, sources, [5, 6, 7])
    rows, noise = zip(*[streams.draw() for _ in range(3)], strict=True)
    alone = LabelStreams(one, sources[1:], [6])
    for block in range(3):
        own_rows, own_noise = alone.draw()
        np.testing.assert_array_equal(own_rows[:, 0], rows[block][:, 1])
        np.testing.assert_array_equal(own_noise[0, :, :, 0], noise[block][1, :, :, 1])
    assert not np.array_equal(rows[0][:, 0], rows[0][:, 1])


def test_examples_are_visited_evenly():
    one = world(examples=20)
    streams = LabelStreams(one, [], list(range(40)))
    counts = np.bincount(np.concatenate([streams.draw()[0].ravel() for _ in range(4)]), minlength=20)
    expected = counts.sum() / 20
    assert ((counts - expected) ** 2 / expected).sum() < 45.3  # the 0.999 quantile of chi^2 with 19 + 1 degrees
