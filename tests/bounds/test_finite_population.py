"""The known population: label noise, independent training sets, and risks that are sums."""

import numpy as np
import pytest
import torch

from kd_uncertainty.bounds.finite_population import (
    FinitePopulation,
    draw_sets,
    empirical_risk,
    known_population,
    losses_of,
    risk,
)
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.errors import UserError
from kd_uncertainty.tasks.noise import flip_transition


def examples(bayes=None, count=7, classes=3):
    generator = np.random.default_rng(1)
    labels = torch.from_numpy(generator.integers(0, classes, count))
    inputs = torch.from_numpy(generator.standard_normal((count, 2))).float()
    return StudyExamples(inputs, labels, np.array(["train"] * count, dtype=object), bayes, classes)


def population(count=5, classes=3, seed=0):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), count)
    return FinitePopulation(torch.zeros(count, 1), probabilities)


@pytest.mark.parametrize("known", [False, True])
def test_label_noise_is_the_transition_of_the_task(known):
    bayes = np.random.default_rng(2).dirichlet(np.ones(3), 7) if known else None
    data = examples(bayes)
    certain = np.eye(3)[data.labels.numpy()] if bayes is None else bayes
    found = known_population(data, 0.25)
    np.testing.assert_allclose(found.probabilities, certain @ flip_transition(3, 4, 0.25), rtol=1e-13)
    assert torch.equal(found.inputs, data.inputs)


def test_a_part_of_the_table_is_evenly_spread():
    data = examples(count=9)
    assert torch.equal(known_population(data, 0.1, 3).inputs, data.inputs[[0, 3, 6]])


def test_impossible_classes_are_refused():
    with pytest.raises(UserError, match=r"label_noise.*infinite; set a label_noise above 0"):
        known_population(examples(), 0.0)
    assert known_population(examples(np.full((7, 3), 1 / 3)), 0.0).probabilities.min() > 0.3


def test_draws_have_the_population_s_frequencies():
    """Pairs in 400 sets of 50, against their probabilities within 4.5 standard errors each."""
    world = population()
    sets = draw_sets(world, 400, 50, seed=3)
    counts = np.bincount((sets.points * 3 + sets.labels).ravel(), minlength=15) / 20_000
    expected = world.probabilities.ravel() / 5
    assert (np.abs(counts - expected) < 4.5 * np.sqrt(expected * (1 - expected) / 20_000)).all()
    # Sets are independent: the covariance of the first example of neighbours is nothing.
    first = sets.points[:, 0]
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 4 / np.sqrt(400)


def test_a_smaller_set_is_the_beginning_of_a_larger_one():
    world = population()
    small, large, fewer = draw_sets(world, 6, 4, 5), draw_sets(world, 6, 9, 5), draw_sets(world, 2, 4, 5)
    for some, more, few in zip(small, large, fewer, strict=True):
        np.testing.assert_array_equal(some, more[:, :4])
        np.testing.assert_array_equal(few, some[:2])
    other = draw_sets(world._replace(probabilities=np.roll(world.probabilities, 1, axis=1)), 6, 4, 5)
    np.testing.assert_array_equal(other.points, small.points)


def test_losses_by_hand():
    logits = np.log(np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]]))
    brier = [[0.09 + 0.04 + 0.01, 0.49 + 0.64 + 0.01, 0.49 + 0.04 + 0.81],
             [0.5625 + 0.0625 + 0.25, 0.0625 + 0.5625 + 0.25, 0.0625 + 0.0625 + 0.25]]  # fmt: skip
    np.testing.assert_allclose(losses_of(logits, "brier"), np.array(brier) / 2, rtol=1e-12)
    np.testing.assert_array_equal(losses_of(logits, "zero_one"), [[0, 1, 1], [1, 1, 0]])
    certain = losses_of(np.array([[0.0, 500.0, 0.0]]), "brier")
    np.testing.assert_allclose(certain, [[1.0, 0.0, 1.0]], atol=1e-15)


@pytest.mark.parametrize("loss", ["brier", "zero_one"])
def test_risks_are_sums(loss):
    world = population()
    logits = np.random.default_rng(4).standard_normal((2, 3, 5, 3))
    losses, sets = losses_of(logits, loss), draw_sets(world, 2, 6, 7)
    expected_risk, expected_empirical = np.zeros((2, 2, 3))
    for row in range(2):
        for draw in range(3):
            for point in range(5):
                for label in range(3):
                    expected_risk[row, draw] += world.probabilities[point, label] * losses[row, draw, point, label] / 5
            pairs = zip(sets.points[row], sets.labels[row], strict=True)
            expected_empirical[row, draw] = np.mean([losses[row, draw, point, label] for point, label in pairs])
    np.testing.assert_allclose(risk(losses, world), expected_risk, rtol=1e-12)
    np.testing.assert_allclose(empirical_risk(losses, sets), expected_empirical, rtol=1e-12)


@pytest.mark.parametrize("loss", ["brier", "zero_one"])
def test_a_fixed_predictor_has_no_gap_on_average(loss):
    """Mean 0 over 2000 sets within 4 standard errors, and the variance of a mean of n losses within 15 %."""
    world, size = population(), 20
    sets = draw_sets(world, 2000, size, 11)
    logits = np.random.default_rng(5).standard_normal((1, 1, 5, 3))
    losses = losses_of(np.repeat(logits, 2000, axis=0), loss)
    gaps = (risk(losses, world) - empirical_risk(losses, sets))[:, 0]
    assert abs(gaps.mean()) < 4 * gaps.std() / np.sqrt(2000)
    one = losses[0, 0]
    mean = (world.probabilities * one).sum() / 5
    variance = (world.probabilities * (one - mean) ** 2).sum() / 5 / size
    assert gaps.var() == pytest.approx(variance, rel=0.15)
