"""Bias, Var, Apx, Cov and Spread against explicit matrices and simulation; which forms are bounds, and which is not."""

import numpy as np
import pytest

from kd_uncertainty.bounds.linear_divergence import divergence, visible_map
from kd_uncertainty.bounds.linear_gaussian import draw_teachers, gibbs_covariance, linear_gaussian, teacher_mean
from kd_uncertainty.bounds.linear_maps import best_map
from kd_uncertainty.bounds.linear_terms import terms

from .linear_worlds import SHAPES, audit, covariance, gain, sigma_t, within, world


def draw(one, count, seed):
    """Labels, posterior means, teachers and pseudo-labels in two stages."""
    generator = np.random.default_rng(seed)
    shape = (count, len(one.weights), one.inputs.shape[1])
    labels = one.weights @ one.inputs + one.label_noise * generator.standard_normal(shape)
    means = teacher_mean(one, labels)
    teachers = means + generator.standard_normal(means.shape) @ np.linalg.cholesky(sigma_t(one)).T
    pseudo = teachers @ one.inputs + one.label_noise * generator.standard_normal(shape)
    return means, teachers, pseudo


def squared(matrix, weight):
    """||A||^2_weight = tr(A weight A') of each matrix."""
    return np.einsum("mij,jk,mik->m", matrix, weight, matrix)


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_every_term_is_its_definition(shape):
    one = world(**shape)
    k, (d, _) = len(one.weights), one.inputs.shape
    rank, student, sigma = 2, covariance(d), sigma_t(one)
    noise, prior, beta = one.label_noise**2, one.prior_precision, one.inverse_temperature
    X, precision = one.inputs, np.linalg.inv(sigma)
    found = terms(one, rank, student, num_draws=4000, seed=5)
    means, teachers, _ = draw(one, 4000, seed=1)

    assert within((((means - one.weights) @ X) ** 2).sum(axis=(1, 2)) / (2.0 * noise), found.bias)
    assert found.variance == pytest.approx(k * np.trace(X.T @ sigma @ X) / (2.0 * noise), rel=1e-10)
    logs = np.linalg.slogdet(sigma)[1] - np.linalg.slogdet(student)[1]
    assert found.covariance == pytest.approx(k / 2.0 * (np.trace(precision @ student) - d + logs), rel=1e-9)
    hat = beta / noise * X.T @ sigma @ X
    known = prior**2 * k * np.trace(sigma @ sigma) + beta * k * np.trace(hat)
    assert within(prior**2 * squared(means, sigma), found.spread - known)

    lost = np.array([teacher @ best_map(teacher, X, rank) - teacher for teacher in teachers[:1500]])
    apx = prior * (lost**2).sum(axis=(1, 2)) + beta / noise * ((lost @ X) ** 2).sum(axis=(1, 2))
    estimate, lower, upper = found.approximation
    error = np.hypot(apx.std() / np.sqrt(len(apx)), (upper - lower) / 3.92)
    assert abs(apx.mean() - estimate) <= 4.0 * error + 1e-9
    assert found.outputs_times_inputs == k * d


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_the_tight_form_is_the_mean_divergence_of_the_kernels_given_the_teacher(shape):
    """E KL(q_S(. | W) || q_T(. | Y^)), by simulation with the explicit best map of every draw."""
    one = world(**shape)
    k, d = one.weights.shape
    rank, student, precision = 2, covariance(d), np.linalg.inv(sigma_t(one))
    found = terms(one, rank, student, num_draws=4000, seed=5)
    _, teachers, pseudo = draw(one, 1500, seed=2)
    mapped = np.array([teacher @ best_map(teacher, one.inputs, rank) for teacher in teachers])
    logs = np.linalg.slogdet(sigma_t(one))[1] - np.linalg.slogdet(student)[1]
    kls = k / 2.0 * (np.trace(precision @ student) - d + logs) + squared(mapped - pseudo @ gain(one), precision) / 2.0
    estimate, lower, upper = found.tight_shift
    assert abs(kls.mean() - estimate) < 4.0 * np.hypot(kls.std() / np.sqrt(len(kls)), (upper - lower) / 3.92)


@pytest.mark.parametrize("count", [9, 3])
def test_the_approximation_falls_with_rank_to_what_inputs_cannot_show(count):
    """At full rank it is 0, or lambda E ||W (I - X X^+)||^2 where X lacks rank."""
    one = world(outputs=4, count=count)
    apx = [terms(one, rank, sigma_t(one), num_draws=500).approximation.estimate for rank in range(1, 5)]
    assert (np.diff(apx[: min(count, 4)]) < 0.0).all()
    teachers = draw_teachers(one, 20_000, np.random.default_rng(0))
    hidden = one.prior_precision * ((teachers @ (np.eye(4) - visible_map(one))) ** 2).sum(axis=(1, 2))
    if count == 9:
        assert apx[3] == 0.0
    else:
        assert apx[2] == apx[3]
        assert within(hidden, apx[3])
        assert apx[3] > 1.0


def test_draw_for_draw_a_higher_rank_loses_less():
    one = world(outputs=4)
    for teacher in draw_teachers(one, 50, np.random.default_rng(3)):
        lost = [teacher @ best_map(teacher, one.inputs, rank) - teacher for rank in range(1, 5)]
        apx = [np.trace(matrix @ np.linalg.inv(sigma_t(one)) @ matrix.T) for matrix in lost]
        assert (np.diff(apx) < 0.0).all()


def test_bounds_hold_and_the_literal_form_fails_in_400_configurations():
    table = audit()
    assert not table["corrected_violated"].any()
    assert not table["tight_violated"].any()
    assert (table["tight_bound"] <= table["corrected_bound"] * (1.0 + 1e-12)).all()
    assert 60 < table["literal_violated"].sum() < 300
    cold = table["inverse_temperature"] > 10.0
    assert table.loc[cold, "literal_violated"].mean() > 0.8
    assert not table.loc[table["inverse_temperature"] < 1.0, "literal_violated"].any()


def test_a_counter_example_to_the_literal_form_by_brute_force():
    """Nothing of the library's algebra is used for the divergence: it is 28 nats where the literal form says 6."""
    from .linear_worlds import brute_force

    one = world(beta=16.0, outputs=2, size=2)
    student = sigma_t(one)
    total, _ = brute_force(one, np.eye(2), student)
    found = terms(one, 2, student)
    assert found.literal_form.estimate < 0.5 * total
    assert found.tight_bound.estimate > total
    assert divergence(one, visible_map(one), student).total == pytest.approx(total, rel=1e-10)


@pytest.mark.parametrize("beta", [1.0, 0.5, 2.0])
def test_spread_is_k_d_only_at_beta_one_and_on_average_over_the_prior(beta):
    """Spread is linear in W*' W*, whose prior mean is (k / lambda) I; an orthogonal W* has exactly that."""
    generator = np.random.default_rng(0)
    rotation = np.linalg.qr(generator.standard_normal((4, 4)))[0]
    inputs, prior = generator.standard_normal((4, 9)), 0.7
    typical = linear_gaussian(
        inputs, np.sqrt(4 / prior) * rotation, label_noise=0.6, prior_precision=prior, inverse_temperature=beta
    )
    found = terms(typical, 4, gibbs_covariance(typical)).spread
    assert (found == pytest.approx(16.0, rel=1e-12)) == (beta == 1.0)
    other = typical._replace(weights=3.0 * typical.weights)
    assert terms(other, 4, gibbs_covariance(other)).spread != pytest.approx(16.0, rel=1e-3)


def test_variance_falls_with_beta_and_spread_rises_once_data_outweigh_the_prior():
    """From k d at beta = 0 Spread falls first: a teacher that ignores its data does not pass their noise on."""
    betas = np.geomspace(1e-6, 1e3, 40)
    found = [terms(one, 4, sigma_t(one)) for one in (world(beta=beta, count=40) for beta in betas)]
    variance, spread = (np.array([getattr(one, name) for one in found]) for name in ("variance", "spread"))
    assert (np.diff(variance) < 0.0).all()
    turn = int(spread.argmin())
    assert 0.01 < betas[turn] < 0.25
    assert spread[0] == pytest.approx(12.0, rel=1e-3)
    assert (np.diff(spread[turn:]) > 0.0).all()
    assert (np.diff(spread[: turn + 1]) < 0.0).all()


def test_a_gibbs_student_of_the_teachers_temperature_has_no_covariance_term():
    one = world(rank=2)
    assert terms(one, 2, gibbs_covariance(one)).covariance == pytest.approx(0.0, abs=1e-25)
    assert terms(one, 2, gibbs_covariance(one, 2.0)).covariance > 0.1
