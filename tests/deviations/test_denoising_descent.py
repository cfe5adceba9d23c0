"""Descent in coefficients of the examples against torch in weights, and cosines against their definition."""

import numpy as np
import pytest
import torch

from kd_uncertainty.deviations._denoising_descent import cosines, descend, metric, smoothness
from kd_uncertainty.deviations._denoising_options import DenoisingOptions
from kd_uncertainty.deviations._denoising_worlds import Worlds, draw_worlds, softmax

OPTIONS = DenoisingOptions(num_examples=25, tail_size=18, num_groups=2, group_size=2, num_seeds=4)


@pytest.fixture(scope="module")
def worlds():
    return draw_worlds(OPTIONS, "spread", 0.5)


@pytest.fixture(scope="module")
def targets(worlds):
    return np.stack([worlds.one_hot, worlds.probabilities], axis=1)


def by_torch(worlds, seed, target, rate, steps):
    """Weights (inputs, classes) after so many steps of torch's own gradient descent."""
    inputs, target = torch.from_numpy(worlds.inputs[seed]), torch.from_numpy(target)
    weights = torch.zeros(worlds.weights.shape[1:], dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.SGD([weights], lr=rate)
    for _ in range(steps):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(inputs @ weights, target).backward()
        optimiser.step()
    return weights.detach().numpy()


def cosine(one, other):
    one, other = (w - w.mean(axis=1, keepdims=True) for w in (one, other))
    return (one * other).sum() / np.linalg.norm(one) / np.linalg.norm(other)


@pytest.mark.parametrize("examples", [25, 60])  # fewer than inputs, and more
def test_weights_are_those_of_torch_and_cosines_those_of_weights(examples):
    drawn = draw_worlds(OPTIONS.model_copy(update={"num_examples": examples}), "spread", 0.5)
    taught = np.stack([drawn.one_hot, drawn.probabilities], axis=1)
    plain, covariance = metric(drawn), metric(drawn, drawn.variances)
    rates = 1.0 / smoothness(plain.gram)
    states = descend(plain.gram, taught, rates, [12, 3])
    assert sorted(states) == [3, 12]
    for steps, state in states.items():
        in_weights, in_logits = cosines(state.coefficients, plain), cosines(state.coefficients, covariance)
        for seed in range(4):
            for arm in range(2):
                weights = by_torch(drawn, seed, taught[seed, arm], rates[seed], steps)
                np.testing.assert_allclose(drawn.inputs[seed].T @ state.coefficients[seed, arm], weights, atol=1e-12)
                np.testing.assert_allclose(state.logits[seed, arm], drawn.inputs[seed] @ weights, atol=1e-12)
                assert in_weights[seed, arm] == pytest.approx(cosine(weights, drawn.weights[seed]), abs=1e-12)
                root = np.sqrt(drawn.variances)[:, None]
                expected = cosine(root * weights, root * drawn.weights[seed])
                assert in_logits[seed, arm] == pytest.approx(expected, abs=1e-12)


def test_the_cosine_in_the_covariance_is_a_correlation_over_the_population(worlds, targets):
    """Monte Carlo: pooled over classes, of logits at 200,000 fresh inputs."""
    plain = metric(worlds)
    state = descend(plain.gram, targets, 1.0 / smoothness(plain.gram), [8])[8]
    weights = worlds.inputs[0].T @ state.coefficients[0, 0]
    generator = np.random.default_rng(0)
    fresh = generator.standard_normal((200_000, len(worlds.variances))) * np.sqrt(worlds.variances)
    ours, true = fresh @ weights, fresh @ worlds.weights[0]
    measured = np.corrcoef(ours.ravel(), true.ravel())[0, 1]
    # The standard error of a correlation r is (1 - r^2) / sqrt(n); the classes' logits are at worst one in number.
    found = cosines(state.coefficients, metric(worlds, worlds.variances))[0, 0]
    assert abs(found - measured) < 4 * (1 - measured**2) / np.sqrt(200_000)
    assert abs(found - cosines(state.coefficients, plain)[0, 0]) > 0.02  # not the cosine of weights


def test_cosines_from_an_origin(worlds, targets):
    plain = metric(worlds)
    state = descend(plain.gram, targets, 1.0 / smoothness(plain.gram), [5])[5]
    pulls = targets - softmax(state.logits)
    found = cosines(pulls, plain, state)
    one_arm = state._replace(coefficients=state.coefficients[:, :1])
    of_one = cosines(pulls, plain, one_arm)
    for seed in range(4):
        for arm in range(2):
            gradient = worlds.inputs[seed].T @ pulls[seed, arm]
            for start, value in ((arm, found), (0, of_one)):
                weights = worlds.inputs[seed].T @ state.coefficients[seed, start]
                expected = cosine(gradient, worlds.weights[seed] - weights)
                assert value[seed, arm] == pytest.approx(expected, abs=1e-12)


def test_gauge_and_scale_do_not_matter(worlds, targets):
    """What is added to all classes alike, or a positive factor, changes no cosine and no step."""
    plain = metric(worlds)
    rates = 1.0 / smoothness(plain.gram)
    state = descend(plain.gram, targets, rates, [5])[5]
    moved = 3.0 * state.coefficients + np.random.default_rng(0).standard_normal((4, 2, 25, 1))
    np.testing.assert_allclose(cosines(moved, plain), cosines(state.coefficients, plain), rtol=1e-10)
    np.testing.assert_allclose(state.coefficients.sum(axis=-1), 0.0, atol=1e-14)
    shifted = state._replace(coefficients=state.coefficients + 1.0)
    np.testing.assert_allclose(cosines(targets, plain, shifted), cosines(targets, plain, state), rtol=1e-9)


def test_classes_and_examples_may_be_permuted(worlds, targets):
    generator = np.random.default_rng(1)
    rows, classes = generator.permutation(25), generator.permutation(4)
    mixed = Worlds(
        worlds.inputs[:, rows], worlds.weights[..., classes], worlds.probabilities[:, rows][..., classes],
        np.argsort(classes)[worlds.labels[:, rows]], worlds.variances,
    )  # fmt: skip
    np.testing.assert_array_equal(mixed.one_hot, worlds.one_hot[:, rows][..., classes])
    plain, other = metric(worlds), metric(mixed)
    np.testing.assert_allclose(smoothness(other.gram), smoothness(plain.gram), rtol=1e-12)
    first = descend(plain.gram, targets, 1.0 / smoothness(plain.gram), [30])[30]
    second = descend(other.gram, targets[:, :, rows][..., classes], 1.0 / smoothness(plain.gram), [30])[30]
    np.testing.assert_allclose(second.logits, first.logits[:, :, rows][..., classes], atol=1e-11)
    np.testing.assert_allclose(cosines(second.coefficients, other), cosines(first.coefficients, plain), atol=1e-12)


def test_the_bound_on_curvature_holds_and_descent_never_climbs(worlds, targets):
    plain = metric(worlds)
    for seed, bound in enumerate(smoothness(plain.gram)):
        second_moment = worlds.inputs[seed].T @ worlds.inputs[seed] / 25
        assert bound == pytest.approx(np.linalg.eigvalsh(second_moment)[-1] / 2.0, rel=1e-10)
    states = descend(plain.gram, targets, 1.99 / smoothness(plain.gram), range(40))
    losses = [-(targets * np.log(softmax(states[step].logits))).sum(axis=-1).mean(axis=-1) for step in range(40)]
    assert (np.diff(np.stack(losses), axis=0) < 0.0).all()


def test_nobody_depends_on_neighbours(worlds, targets):
    plain = metric(worlds)
    rates = 1.0 / smoothness(plain.gram)
    together = descend(plain.gram, targets, rates, [40])[40]
    alone = descend(plain.gram[2:3], targets[2:3, 1:], rates[2:3], [7, 40])[40]
    np.testing.assert_array_equal(alone.logits, together.logits[2:3, 1:])
    kept = metric(Worlds(*(part[2:3] for part in worlds[:4]), worlds.variances))
    np.testing.assert_array_equal(kept.gram, plain.gram[2:3])
    np.testing.assert_array_equal(cosines(alone.coefficients, kept), cosines(together.coefficients, plain)[2:3, 1:])


def test_recorded_states_stay_as_they_were(worlds, targets):
    plain = metric(worlds)
    rates = 1.0 / smoothness(plain.gram)
    states = descend(plain.gram, targets, rates, [0, 1, 9])
    assert (states[0].logits == 0.0).all()
    assert (states[0].coefficients == 0.0).all()
    np.testing.assert_array_equal(states[1].logits, descend(plain.gram, targets, rates, [1])[1].logits)
    np.testing.assert_allclose(states[1].coefficients, (rates / 25)[:, None, None, None] * (targets - 0.25))
