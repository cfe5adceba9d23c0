"""Noised minimisers: their draws, and their divergences in closed form against Monte Carlo."""

import functools

import numpy as np
import pytest
import torch
from scipy import stats

from kd_uncertainty.bounds.gaussian_kernels import (
    flat,
    function_space_divergence,
    kernel_divergence,
    noised,
    require_no_buffers,
)
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import MLP

LINEAR = functools.partial(MLP, 3, 4, hidden=[])
DEEP = functools.partial(MLP, 3, 4, hidden=[5])


def stacked(build, count, seed=0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: scale * torch.randn(count, *values.shape, generator=generator)
        for name, values in build().named_parameters()
    }


@pytest.mark.parametrize(("student_noise", "teacher_noise"), [(0.3, 0.3), (0.2, 0.5), (0.6, 0.4)])
def test_divergence_against_monte_carlo(student_noise, teacher_noise):
    """Mean log density ratio of 40,000 draws within 4 standard errors."""
    generator = np.random.default_rng(0)
    student, teacher = generator.standard_normal((2, 5)) * 0.3
    draws = student + student_noise * generator.standard_normal((40_000, 5))
    ratios = stats.norm.logpdf(draws, student, student_noise) - stats.norm.logpdf(draws, teacher, teacher_noise)
    ratios = ratios.sum(axis=1)
    error = max(4 * ratios.std() / np.sqrt(len(draws)), 1e-12)
    assert kernel_divergence(student, teacher, student_noise, teacher_noise) == pytest.approx(ratios.mean(), abs=error)


def test_divergence_keeps_its_digits_at_nearly_equal_noise():
    found = kernel_divergence(np.zeros(7), np.zeros(7), 1.0 + 1e-6, 1.0)
    assert found == pytest.approx(7 * 1e-12, rel=1e-5)  # (d / 2) (2 e)^2 / 2
    assert kernel_divergence(np.ones(3), np.ones(3), 0.2, 0.2) == 0.0


def test_draws_have_the_kernel_s_mean_and_spread():
    """Against normal quantiles within 4 standard errors; same seeds, same draws."""
    means = stacked(DEEP, 2)
    seeds = [[10 * row + draw for draw in range(300)] for row in range(2)]
    found = flat(noised(means, 0.3, seeds)).reshape(2, 300, -1)
    apart = (found - flat(means)[:, None]) / 0.3
    assert abs(apart.mean()) < 4 / np.sqrt(apart.size)
    assert abs(apart.var() - 1) < 4 * np.sqrt(2 / apart.size)
    assert abs((apart[0] * apart[1]).mean()) < 4 / np.sqrt(apart[0].size)  # other seeds are independent
    shared = flat(noised(means, 0.3, [[1], [1]])) - flat(means)
    np.testing.assert_allclose(shared[0], shared[1], atol=1e-6)


def test_functions_of_linear_networks_are_exact():
    """Against the Gaussian law of logit differences written out; all of the divergence at enough points."""
    student, teacher = stacked(LINEAR, 3, 1, 0.2), stacked(LINEAR, 3, 2, 0.2)
    generator = torch.Generator().manual_seed(3)
    points = torch.randn(2, 3, generator=generator)
    design = np.concatenate([points.double().numpy(), np.ones((2, 1))], axis=1)
    contrast = np.concatenate([np.eye(3), -np.ones((3, 1))], axis=1)
    covariance = np.kron(design @ design.T, contrast @ contrast.T)
    expected = []
    for row in range(3):
        shift = [_linear(state, row, points) for state in (student, teacher)]
        difference = ((shift[0] - shift[1]).numpy() @ contrast.T).ravel()
        r = 0.3**2 / 0.4**2
        mahalanobis = difference @ np.linalg.solve(covariance, difference) / 0.4**2
        expected.append(0.5 * (mahalanobis + 6 * (r - 1 - np.log(r))))
    found = function_space_divergence(LINEAR, student, teacher, 0.3, 0.4, points)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    exact = kernel_divergence(flat(student), flat(teacher), 0.3, 0.4)
    assert (found <= exact).all()
    # More points say more, up to all that softmax sees: the shift that all logits share is invisible.
    many = function_space_divergence(LINEAR, student, teacher, 0.4, 0.4, torch.randn(9, 3, generator=generator))
    visible = []
    for row in range(3):
        apart = np.concatenate(
            [(student[n][row].double() - teacher[n][row].double()).numpy().reshape(4, -1) for n in student], 1
        )
        visible.append(0.5 * ((apart - apart.mean(axis=0)) ** 2).sum() / 0.4**2)
    np.testing.assert_allclose(many, visible, rtol=1e-9)


def _linear(state, row, points):
    weight, bias = (values[row].double() for values in state.values())
    return points.double() @ weight.T + bias


def test_functions_of_other_networks_are_exact_for_small_noise():
    """Against the Gaussian fitted to logit differences of 20,000 noised networks, for noise that is almost linear."""
    noise = 1e-3
    teacher = stacked(DEEP, 1, 4)
    student = {name: values + 2e-3 * torch.randn_like(values) for name, values in teacher.items()}
    points = torch.tensor([[0.4, -0.2, 1.0]]).double()
    network = DEEP().double()

    def differences(state):
        logits = torch.func.vmap(lambda p: torch.func.functional_call(network, p, (points,)))(state)
        return (logits[..., :-1] - logits[..., -1:]).flatten(1).detach().numpy()

    exact = {name: values.double() for name, values in teacher.items()}
    draws = differences(noised(exact, noise, [list(range(20_000))]))
    shift = (differences({n: v.double() for n, v in student.items()}) - differences(exact))[0]
    expected = 0.5 * shift @ np.linalg.solve(np.cov(draws.T), shift)
    found = function_space_divergence(DEEP, student, teacher, noise, noise, points)
    assert found[0] == pytest.approx(expected, rel=4 * np.sqrt(2 / 20_000))


class WithBatchNorm(torch.nn.Sequential):
    def __init__(self, num_inputs, num_classes):
        super().__init__(torch.nn.BatchNorm1d(num_inputs), torch.nn.Linear(num_inputs, num_classes))


def test_buffers_have_no_density():
    require_no_buffers(DEEP, "MLP")
    with pytest.raises(UserError, match=r"keeps '0.running_mean' beside its trained parameters"):
        require_no_buffers(functools.partial(WithBatchNorm, 3, 4), "mine.WithBatchNorm")
