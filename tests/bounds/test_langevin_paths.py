"""Langevin paths against a quadratic loss, whose paths and ends are Gaussian, and gradients against torch's."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch import nn
from torch.func import functional_call

from kd_uncertainty.bounds.finite_population import TrainingSets
from kd_uncertainty.bounds.langevin_paths import Networks, batches_of, function_space, langevin_walk, spread
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.initialisation import initial_states

STEPS = 0.3 * (1.0 + np.arange(12) / 4.0) ** -0.5
BETA = 3.0
STUDENT, TEACHER = (1.5, 0.7), (0.8, -0.4)
"""Curvature and minimum."""
START = 0.2


def slope(law):
    curvature, minimum = law
    return lambda step, weights: curvature * (weights - minimum)


def ends_of(law):
    """Mean and variance of where paths end, by the recursion of a Gaussian."""
    mean, variance = START, 0.0
    for size in STEPS:
        shrink = 1.0 - size * law[0]
        mean, variance = shrink * mean + size * law[0] * law[1], shrink**2 * variance + 2.0 * size / BETA
    return mean, variance


def path_divergence():
    """sum_t (eta_t beta / 4) E (g - g')^2 with theta_t Gaussian."""
    mean, variance, total = START, 0.0, 0.0
    for size in STEPS:
        apart = STUDENT[0] * (mean - STUDENT[1]) - TEACHER[0] * (mean - TEACHER[1])
        total += 0.25 * size * BETA * (apart**2 + (STUDENT[0] - TEACHER[0]) ** 2 * variance)
        shrink = 1.0 - size * STUDENT[0]
        mean, variance = shrink * mean + size * STUDENT[0] * STUDENT[1], shrink**2 * variance + 2.0 * size / BETA
    return total


def joint_divergence():
    """The same from the joint Gaussian laws of whole paths: linear maps of the noise, KL by determinants."""
    laws = []
    for curvature, minimum in (STUDENT, TEACHER):
        mean, root = np.empty(len(STEPS)), np.zeros((len(STEPS), len(STEPS)))
        here, row = START, np.zeros(len(STEPS))
        for step, size in enumerate(STEPS):
            shrink = 1.0 - size * curvature
            here, row = shrink * here + size * curvature * minimum, shrink * row
            row[step] = np.sqrt(2.0 * size / BETA)
            mean[step], root[step] = here, row
        laws.append((mean, root @ root.T))
    (m, c), (n, d) = laws
    inverse = np.linalg.inv(d)
    logs = np.linalg.slogdet(d)[1] - np.linalg.slogdet(c)[1]
    return 0.5 * (np.trace(inverse @ c) - len(m) + (m - n) @ inverse @ (m - n) + logs)


def test_paths_of_quadratic_losses_have_the_closed_divergence():
    """Within 4 standard errors of 20,000 paths; the closed form is that of the joint laws, and above that of ends."""
    count = 20_000
    start = torch.full((count, 1), START, dtype=torch.float64)
    walk = langevin_walk(start, slope(STUDENT), STEPS, BETA, range(count), slope(TEACHER))
    exact = path_divergence()
    assert exact == pytest.approx(joint_divergence(), rel=1e-10)
    error = walk.divergence.std(ddof=1) / np.sqrt(count)
    assert error < 0.02 * exact
    assert abs(walk.divergence.mean() - exact) < 4 * error
    (mean, variance), (other, wide) = ends_of(STUDENT), ends_of(TEACHER)
    ends = walk.ends.numpy()
    assert abs(ends.mean() - mean) < 4 * np.sqrt(variance / count)
    assert abs(ends.var() - variance) < 4 * variance * np.sqrt(2 / count)
    of_ends = 0.5 * (variance / wide - 1.0 - np.log(variance / wide) + (mean - other) ** 2 / wide)
    assert 0.0 < of_ends < 0.9 * exact


def test_equal_gradients_do_not_diverge_and_alone_is_as_among_others():
    start = torch.rand((5, 3), generator=torch.Generator().manual_seed(0))
    walk = langevin_walk(start, slope(STUDENT), STEPS, BETA, range(5), slope(STUDENT))
    assert (walk.divergence == 0.0).all()
    alone = langevin_walk(start[3:4], slope(STUDENT), STEPS, BETA, [3])
    assert torch.equal(alone.ends[0], walk.ends[3])
    other = langevin_walk(start[3:4], slope(STUDENT), STEPS, BETA, [4])
    assert not torch.equal(other.ends[0], walk.ends[3])


class Squared(nn.Module):
    """No stack of layers."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.layer = nn.Linear(num_inputs, num_outputs)

    def forward(self, inputs):
        return self.layer(inputs) ** 2


@pytest.mark.parametrize("hidden", [[4], None])
def test_gradients_are_those_of_autograd_on_the_module(hidden):
    """Loss and regulariser written out in float64 for each chain."""
    build = (lambda: Squared(3, 2)) if hidden is None else _mlp(hidden)
    start = initial_states(build, [1, 2, 3], torch.device("cpu"))
    networks = Networks.of(build, start)
    flat = torch.cat([values.flatten(1) for values in start.values()], dim=1)
    inputs = torch.randn((6, 3), generator=torch.Generator().manual_seed(1))
    sets = TrainingSets(np.array([[0, 1, 2, 2], [3, 4, 5, 0], [1, 1, 4, 3]]), np.array([[0, 1, 1, 0]] * 3))
    batches = batches_of(5, 4, 3, 4)
    gradient = networks.gradient((inputs, 2), sets, batches, 1.7, 0.3)
    for step in (0, 3):
        found = gradient(step, flat)
        for chain in range(3):
            leaf = {name: values[chain].double().requires_grad_() for name, values in start.items()}
            rows = batches[step].numpy()
            logits = functional_call(build().double(), leaf, (inputs[sets.points[chain, rows]].double(),))
            labels = torch.from_numpy(sets.labels[chain, rows])
            loss = 1.7**2 * nn.functional.cross_entropy(logits / 1.7, labels)
            loss = loss + 0.15 * sum(values.square().sum() for values in leaf.values())
            slopes = torch.autograd.grad(loss, list(leaf.values()))
            expected = torch.cat([values.flatten() for values in slopes])
            torch.testing.assert_close(found[chain].double(), expected, rtol=1e-4, atol=1e-5)


def _mlp(hidden):
    return network_builder("kd_uncertainty.networks.MLP", {"hidden": hidden}, 3, 2)


def test_batches_are_shuffled_passes():
    found = batches_of(0, 6, 4, 5)
    assert found.shape == (5, 4)
    passes = found.flatten()[:18].view(3, 6)
    assert (passes.sort(dim=1).values == torch.arange(6)).all()
    assert not torch.equal(passes[0], passes[1])
    assert torch.equal(batches_of(0, 6, 100, 2).sort(dim=1).values, torch.arange(6).repeat(2, 1))
    assert torch.equal(batches_of(0, 6, 4, 3), found[:3])


def test_what_one_figure_tells_is_below_the_divergence():
    """Normal laws a known distance apart: what the threshold tells within 4 standard errors, less than all."""
    generator = np.random.default_rng(0)
    for apart in (0.5, 2.0):
        student, teacher = generator.standard_normal((2, 400, 4)) + np.array([apart, 0.0])[:, None, None]
        found = function_space(student, teacher)
        p, q = norm.cdf(apart / 2), norm.cdf(-apart / 2)
        told = p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q))
        error = found.std(ddof=1) / np.sqrt(400)
        assert told < apart**2 / 2
        assert abs(found.mean() - told) < 4 * error < told
    same = generator.standard_normal((50, 4))
    assert (function_space(same, same) == 0.0).all()
    np.testing.assert_allclose(spread(np.array([[[1.0, 3.0], [0.0, 4.0]]])), [1.5])
