"""The divergence by the chain rule against covariance matrices of all numbers at once, in 16, 19 and 40 digits."""

import numpy as np
import pytest

from kd_uncertainty.bounds.linear_audit import audit_table, random_world
from kd_uncertainty.bounds.linear_divergence import (
    conditional_dataset_shift,
    dataset_shift,
    divergence,
    excess,
    visible_map,
)
from kd_uncertainty.bounds.linear_gaussian import gibbs_covariance, gibbs_spectrum, spectrum
from kd_uncertainty.bounds.linear_joint import direct_divergence, gaussian_divergence
from kd_uncertainty.errors import UserError

from .linear_worlds import SHAPES, audit, brute_force, covariance, gaussian_kl, within, world


def forty_digits(one, linear_map, student):
    """K_n as in ``linear_joint``, by mpmath."""
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 40

    def long(array):
        return mp.matrix(np.asarray(array).tolist())

    X, truth, M, sigma_s = map(long, (one.inputs, one.weights, linear_map, student))
    (d, n), k = one.inputs.shape, len(one.weights)
    prior, beta, noise = (
        mp.mpf(float(value)) for value in (one.prior_precision, one.inverse_temperature, one.label_noise)
    )
    noise = noise**2
    sigma = (prior * mp.eye(d) + beta / noise * X * X.T) ** -1
    gain = beta / noise * X.T * sigma
    mean, marginal = truth * X * gain, sigma + noise * gain.T * gain

    def joint(first, cross, second):
        whole = mp.zeros(n + d)
        whole[:n, :n], whole[:n, n:], whole[n:, :n], whole[n:, n:] = first, cross, cross.T, second
        return whole

    teacher = joint(noise * mp.eye(n), noise * gain, marginal)
    cross = X.T * marginal
    pupil = joint(noise * mp.eye(n) + cross * X, cross * M, sigma_s + M.T * marginal * M)
    shift = mp.zeros(k, n + d)
    shift[:, :n], shift[:, n:] = mean * X - truth * X, mean * M - mean
    roots = mp.cholesky(teacher), mp.cholesky(pupil)
    logs = 2 * sum(mp.log(roots[0][i, i]) - mp.log(roots[1][i, i]) for i in range(n + d))
    inverse = teacher**-1
    trace = sum((inverse * pupil)[i, i] for i in range(n + d))
    moved = sum((shift * inverse * shift.T)[i, i] for i in range(k))
    return float((k * (trace - n - d + logs) + moved) / 2)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("kind", ["visible", "any"])
def test_both_forms_are_the_divergence_of_all_numbers(shape, kind):
    """Any map and any covariance of the student, not only those that commute with the teacher's."""
    for seed in range(5):
        one = world(seed, **shape)
        size = len(one.inputs)
        M = visible_map(one) if kind == "visible" else np.random.default_rng(seed).standard_normal((size, size))
        student = covariance(size, seed)
        total, shift = brute_force(one, M, student)
        found = divergence(one, M, student)
        assert found.total == pytest.approx(total, rel=1e-10)
        assert found.dataset_shift == pytest.approx(shift, rel=1e-9)
        assert direct_divergence(one, M, student) == pytest.approx(total, rel=1e-10)


def test_chain_rule_and_direct_form_agree_in_400_configurations():
    table = audit()
    assert len(table) == 400
    assert table["chain_rule_error"].max() < 1e-10
    assert (table["design_rank"] < table["num_inputs"]).sum() > 100
    assert (table["num_examples"] < table["num_inputs"]).sum() > 40
    assert (table["num_examples"] > table["num_inputs"]).sum() > 200
    assert np.log10(table["inverse_temperature"]).agg(["min", "max"]).round().tolist() == [-2, 2]
    shorter = audit_table(3)
    assert shorter.equals(table.head(3))


def test_extreme_configurations_against_forty_digits():
    generator = np.random.default_rng(7)
    for number in range(12):
        one, _ = random_world(generator)
        one = one._replace(inverse_temperature=(1e-4, 1e4)[number % 2], prior_precision=(1e-5, 1e3)[number // 6])
        size = len(one.inputs)
        M = visible_map(one) if number % 3 else generator.standard_normal((size, size))
        student = gibbs_covariance(one, 2.0)
        expected = forty_digits(one, M, student)
        assert divergence(one, M, student).total == pytest.approx(expected, rel=1e-10)


@pytest.mark.slow
def test_chain_rule_against_forty_digits_in_400_configurations():
    generator, worst = np.random.default_rng(11), 0.0
    for number in range(400):
        one, sharpness = random_world(generator)
        size = len(one.inputs)
        M = visible_map(one) if number % 2 else generator.standard_normal((size, size))
        student = gibbs_covariance(one, sharpness)
        expected = forty_digits(one, M, student)
        worst = max(worst, abs(divergence(one, M, student).total / expected - 1.0))
    assert worst < 1e-10


def test_the_algorithm_shift_is_the_mean_divergence_of_kernels_at_the_same_pseudo_labels():
    """By simulation: the student's kernel from regression formulas, the teacher's at the same y."""
    from .linear_worlds import gain, sigma_t

    one, generator = world(outputs=2, size=2, count=3), np.random.default_rng(0)
    M, student, sigma, noise = generator.standard_normal((2, 2)), covariance(2), sigma_t(one), one.label_noise**2
    marginal, mean = sigma + noise * gain(one).T @ gain(one), one.weights @ one.inputs @ gain(one)
    seen = noise * np.eye(3) + one.inputs.T @ marginal @ one.inputs
    pull = np.linalg.solve(seen, one.inputs.T @ marginal)
    rest = marginal - marginal @ one.inputs @ pull
    values = []
    for _ in range(4000):
        W = mean + generator.standard_normal((2, 2)) @ np.linalg.cholesky(marginal).T
        y = W @ one.inputs + one.label_noise * generator.standard_normal((2, 3))
        expected = (mean + (y - mean @ one.inputs) @ pull) @ M
        law = student + M.T @ rest @ M
        values.append(sum(gaussian_kl(expected[row], law, (y @ gain(one))[row], sigma) for row in range(2)))
    assert within(np.array(values), divergence(one, M, student).algorithm_shift)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_conditional_dataset_shift(shape):
    """At given labels against the textbook; on average above the marginal one, by the mutual information."""
    one, generator = world(**shape), np.random.default_rng(2)
    X, noise, k = one.inputs, one.label_noise**2, len(one.weights)
    from .linear_worlds import gain, sigma_t

    labels = one.weights @ X + one.label_noise * generator.standard_normal((200, k, X.shape[1]))
    found = conditional_dataset_shift(one, labels)
    law = noise * np.eye(X.shape[1]) + X.T @ sigma_t(one) @ X
    for number in range(3):
        means, truth = labels[number] @ gain(one) @ X, one.weights @ X
        kls = [gaussian_kl(means[row], law, truth[row], noise * np.eye(X.shape[1])) for row in range(k)]
        assert found[number] == pytest.approx(sum(kls), rel=1e-9)
    hat = one.inverse_temperature / noise * X.T @ sigma_t(one) @ X
    whole = np.eye(X.shape[1]) + hat @ hat + X.T @ sigma_t(one) @ X / noise
    information = k / 2.0 * (np.linalg.slogdet(whole)[1] - np.linalg.slogdet(law / noise)[1])
    assert within(found, dataset_shift(one) + information)


def test_where_labels_hold_next_to_nothing_the_shift_vanishes_without_cancellation():
    """To leading order in small inputs: ||W* X||^2 / (2 nu^2) + k tr((X' X)^2) / (4 lambda^2 nu^4)."""
    one = world()
    faint = one._replace(inputs=1e-5 * one.inputs, weights=np.zeros_like(one.weights))
    square = np.trace(np.linalg.matrix_power(faint.inputs.T @ faint.inputs, 2))
    leading = 3 * square / (4 * one.prior_precision**2 * one.label_noise**4)
    assert leading < 1e-16
    assert dataset_shift(faint) == pytest.approx(leading, rel=1e-6)


def test_excess_keeps_its_digits():
    mp = pytest.importorskip("mpmath")
    mp.mp.dps = 40
    values = np.array([-0.9, -0.5, -9.9e-3, -1e-5, 1e-12, 3e-7, 0.0099, 0.0101, 0.3, 50.0])
    expected = [float(mp.mpf(value) - mp.log1p(mp.mpf(value))) for value in values]
    np.testing.assert_allclose(excess(values), expected, rtol=1e-12)
    assert excess(np.zeros(1)) == 0.0


def test_a_degenerate_gaussian_has_no_divergence():
    with pytest.raises(UserError, match="not positive definite"):
        gaussian_divergence(np.zeros((1, 2)), np.ones((2, 2)), np.eye(2))


def test_what_is_diagonal_may_be_given_as_a_diagonal_and_then_costs_no_digits_however_it_is_conditioned():
    one = world(rank=2)
    matrices = divergence(one, visible_map(one), gibbs_covariance(one, 2.0))
    diagonals = divergence(one, spectrum(one).seen.astype(float), gibbs_spectrum(one, 2.0))
    assert diagonals == pytest.approx(matrices, rel=1e-11)

    hard = world(rank=2, prior=1e-6, beta=1e5, noise=1e-2)
    with pytest.raises(UserError, match="condition number"):
        divergence(hard, visible_map(hard), gibbs_covariance(hard, 2.0))
    found = divergence(hard, spectrum(hard).seen.astype(float), gibbs_spectrum(hard, 2.0))
    # Directions that the inputs show have h = 1 up to 1e-14, and are known in closed form; the others agree.
    beta, k = 1e5, 3
    growth = 1.0 + 1.0 / beta
    assert found.dataset_shift == pytest.approx(k * (growth - np.log1p(growth)), rel=1e-9)
    spread = 0.5 + beta * (1.0 + beta) / (1.0 + beta + beta)  # (Sigma_S + Cov(W | y)) / Sigma_T
    means = beta**2 / (1.0 + 2.0 * beta)
    assert found.algorithm_shift == pytest.approx(k * (spread - 1.0 - np.log(spread) + means), rel=1e-9)
