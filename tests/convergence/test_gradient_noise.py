"""The gradient noise table, and gradients against automatic differentiation."""

import numpy as np
import pytest
import torch

from kd_uncertainty.convergence.gradient_noise import (
    GradientNoiseOptions,
    gradient_noise_table,
    gradients,
    largest_gradient,
    measured_noise,
)
from kd_uncertainty.convergence.supervision import ONE_HOT, Supervision, gradient_noise

from .worlds import mixture_world, world

COLUMNS = [
    "arm", "level", "mixing", "closed_form", "monte_carlo", "monte_carlo_lower", "monte_carlo_upper", "ratio",
    "ratio_lower", "ratio_upper", "largest_gradient", "break_even", "num_draws",
]  # fmt: skip


def autograd(one, weights, targets):
    """Each example's gradient by torch, for targets of any sum."""
    leaf = torch.from_numpy(np.broadcast_to(weights, (len(one.inputs), *weights.shape)).copy()).requires_grad_()
    logits = torch.einsum("nkd,nd->nk", leaf, torch.from_numpy(one.inputs))
    loss = -(torch.from_numpy(targets) * torch.log_softmax(logits, dim=1)).sum()
    return torch.autograd.grad(loss, leaf)[0].numpy()


@pytest.mark.parametrize("sums", [1.0, 1.7])
def test_gradients_are_those_of_autograd(sums):
    one = world()
    generator = np.random.default_rng(1)
    targets = generator.random((30, 4))
    targets *= sums / targets.sum(axis=1, keepdims=True)
    weights = generator.standard_normal((4, 3))
    np.testing.assert_allclose(gradients(one, weights, targets), autograd(one, weights, targets), atol=1e-13)


def test_with_exact_probabilities_every_examples_gradient_vanishes_at_the_optimum():
    one = mixture_world()
    assert largest_gradient(one) < 1e-14
    assert np.abs(autograd(one, one.weights, one.probabilities)).max() < 1e-14
    moved = one._replace(weights=one.weights + 1e-3 * np.eye(5))
    assert largest_gradient(moved) > 1e-5  # it could have been otherwise


def test_the_defaults_agree_to_one_per_cent_and_within_their_intervals():
    table = gradient_noise_table(mixture_world(), GradientNoiseOptions(), confidence=0.999)
    assert list(table) == COLUMNS
    exact = table["arm"] == "exact"
    assert (table.loc[exact, ["closed_form", "monte_carlo", "monte_carlo_upper"]] == 0.0).all(axis=None)
    assert table.loc[exact, "largest_gradient"].item() < 1e-14
    rest = table[~exact]
    assert (rest["ratio"] - 1.0).abs().max() < 0.01
    assert ((rest["ratio_lower"] < 1.0) & (rest["ratio_upper"] > 1.0)).all()
    assert rest["arm"].tolist() == ["one_hot"] + ["additive"] * 3 + ["dirichlet"] * 2 + ["mixture"] * 6
    assert table["break_even"].notna().tolist() == (table["arm"] == "additive").tolist()


@pytest.mark.parametrize("arm", [ONE_HOT, Supervision("additive", 0.2), Supervision("dirichlet", 0.3, 0.6)])
def test_measured_noise_is_unbiased(arm):
    one = world()
    values = measured_noise(one, arm, 3000, seed=4)
    assert abs(values.mean() - gradient_noise(one, arm)) < 4 * values.std() / np.sqrt(3000)


def test_measured_noise_is_that_of_gradients():
    """One draw, with its targets put together by hand."""
    from kd_uncertainty.convergence.supervision import Source, deviations, generators_of
    from kd_uncertainty.population.seeds import derive_seed

    one, source = world(), Source("additive")
    pair = generators_of(derive_seed(4, "gradient noise"), "draws", source)
    drawn = deviations(source, np.broadcast_to(one.probabilities, (16, 30, 4)), pair)
    targets = one.probabilities + 0.5 * drawn[3]
    expected = (gradients(one, one.weights, targets) ** 2).sum(axis=(1, 2)).mean()
    assert measured_noise(one, Supervision("additive", 0.25), 5, seed=4)[3] == pytest.approx(expected, rel=1e-12)


def test_fewer_draws_are_the_first_of_more():
    one = world()
    more = measured_noise(one, Supervision("dirichlet", 1.0), 70, seed=0)
    np.testing.assert_array_equal(measured_noise(one, Supervision("dirichlet", 1.0), 20, seed=0), more[:20])


def test_two_classes_and_one_input_will_do():
    table = gradient_noise_table(world(features=1, classes=2), GradientNoiseOptions(num_draws=50))
    assert np.isfinite(table[["closed_form", "monte_carlo"]]).all(axis=None)
