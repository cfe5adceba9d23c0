"""Ball averages against closed forms and simulation; the sharpness-aware bound and its radius."""

import math

import numpy as np
import pytest
from scipy.optimize import brentq

from kd_uncertainty.bounds._process_worlds import draw_world, label_losses, smoothed_losses, world_process
from kd_uncertainty.bounds.divergence import distillation_divergence
from kd_uncertainty.bounds.enumerated import (
    Gibbs,
    empirical_losses,
    enumerate_process,
    generalisation_gaps,
    population_losses,
)
from kd_uncertainty.bounds.generalisation import upper_bound
from kd_uncertainty.bounds.proxies import cumulant_certificate, stability_proxy
from kd_uncertainty.bounds.sharpness import (
    Smoothness,
    ball_average,
    ball_points,
    coordinate_rule,
    roughness_sigma,
    sharpness,
    sharpness_bound,
    smooth_bound,
    smoothed_sigma,
    standard_sigma,
    tightness_radius,
)
from kd_uncertainty.errors import UserError

CONSTANTS = Smoothness(stability=1.3, lipschitz=2.0, gradient=0.4, curvature=0.9, sharpness=0.6, loss_range=1.5)


def random_constants(seed):
    drawn = np.random.default_rng(seed).exponential(size=6)
    return Smoothness(*drawn)._replace(gradient=float(drawn[1] * (seed % 10) / 10.0))


@pytest.mark.parametrize("dimension", [1, 2, 3, 7])
def test_points_are_uniform_in_the_ball(dimension):
    """Radii to the power d are uniform, directions average to 0 and E U_i^2 = 1 / (d + 2)."""
    points = ball_points(dimension, 20_000, seed=0)
    radii = np.linalg.norm(points[:10_000], axis=1) ** dimension
    assert np.linalg.norm(points, axis=1).max() <= 1.0
    assert abs(radii.mean() - 0.5) < 4.0 / math.sqrt(12 * 10_000)
    assert abs((radii**2).mean() - 1 / 3) < 4.0 * math.sqrt(4 / 45 / 10_000)
    np.testing.assert_allclose(points.sum(axis=0), 0.0, atol=1e-9)
    np.testing.assert_allclose((points**2).mean(axis=0), 1.0 / (dimension + 2), rtol=0.06)


@pytest.mark.parametrize("dimension", [1, 2, 3, 7])
def test_the_rule_has_the_moments_of_a_coordinate(dimension):
    nodes, weights = coordinate_rule(dimension, 8)
    assert weights.sum() == pytest.approx(1.0)
    assert weights @ nodes == pytest.approx(0.0, abs=1e-15)
    assert weights @ nodes**2 == pytest.approx(1.0 / (dimension + 2))
    assert weights @ nodes**4 == pytest.approx(3.0 / ((dimension + 2) * (dimension + 4)))


@pytest.mark.parametrize("loss", ["log", "brier"])
def test_smoothed_losses_are_simulated_ball_averages(loss):
    margins, radius = np.random.default_rng(0).normal(0.0, 2.0, (3, 2)), 1.5
    points = ball_points(2, 40_000, seed=1)
    found = smoothed_losses(margins, loss, radius)
    for model, x, y in np.ndindex(3, 2, 2):
        draws = label_losses(margins[model] + radius * points, loss)[:, x, y]
        pairs = (draws[:20_000] + draws[20_000:]) / 2.0
        assert abs(pairs.mean() - found[model, x, y]) < 4.0 * pairs.std() / math.sqrt(20_000)


def test_sharpness_of_a_parabola_is_its_trace():
    """S = rho^2 tr A / (2 (d + 2)), whatever the centre."""
    matrix, centre = np.diag([1.0, 2.0, 6.0]), np.array([5.0, -2.0, 1.0])
    points = ball_points(3, 200_000, seed=0)

    def loss(parameters):
        return 0.5 * np.einsum("ni,ij,nj->n", parameters, matrix, parameters)

    assert sharpness(loss, centre, 0.7, points) == pytest.approx(0.49 * 9.0 / 10.0, rel=0.02)
    assert sharpness(loss, centre, 0.0, points) == pytest.approx(0.0, abs=1e-12)
    assert ball_average(lambda parameters: parameters @ np.ones(3), centre, 0.7, points) == pytest.approx(4.0, rel=1e-9)


@pytest.mark.parametrize("printed", [True, False])
@pytest.mark.parametrize("seed", range(25))
def test_rho_0_is_where_both_bounds_meet(seed, printed):
    constants = random_constants(seed)
    size, divergence = 5 + seed, 0.05 * (1 + seed)
    radius = tightness_radius(constants, size, divergence, printed)
    standard = upper_bound(0.2, standard_sigma(constants, size), divergence)

    def above(rho):
        return smooth_bound(0.2, constants, size, rho, divergence, printed) - standard

    assert above(radius) == pytest.approx(0.0, abs=1e-12)
    assert radius == pytest.approx(brentq(above, 0.0, 10.0 * radius + 1.0, xtol=1e-14), rel=1e-8)
    assert above(0.9 * radius) < 0.0 < above(1.1 * radius)


def test_rho_0_solves_the_equation_in_the_papers_letters():
    k, lipschitz, g0, a, tau, _ = CONSTANTS
    rho, s = tightness_radius(CONSTANTS, 30, 0.7), math.sqrt(2 * 0.7 / 30)
    a0, a1, a2 = k * (lipschitz - g0), 1.5 * a * k + g0, a / 2
    square = tau / 2 + s * a2
    assert rho == pytest.approx((-s * a1 + math.sqrt(s**2 * a1**2 + 4 * square * s * a0)) / (2 * square), rel=1e-12)
    assert square * rho**2 + s * a1 * rho - s * a0 == pytest.approx(0.0, abs=1e-14)


def test_there_is_no_such_radius_without_a_local_gain():
    assert tightness_radius(CONSTANTS._replace(gradient=2.0), 30, 0.7) == 0.0
    assert tightness_radius(CONSTANTS, 30, 0.0) == 0.0
    flat = CONSTANTS._replace(gradient=0.0, curvature=0.0, sharpness=0.0)
    assert tightness_radius(flat, 30, 0.7) == math.inf


@pytest.mark.parametrize("seed", range(10))
def test_the_bound_rises_with_the_radius(seed):
    constants = random_constants(seed)
    bounds = [smooth_bound(0.1, constants, 20, radius, 0.4) for radius in np.linspace(0.0, 3.0, 31)]
    assert (np.diff(bounds) > 0.0).all()
    # What is gained at radius 0 is g0 in place of L, with no flatness in it.
    local = constants._replace(lipschitz=constants.gradient)
    assert bounds[0] == pytest.approx(upper_bound(0.1, standard_sigma(local, 20), 0.4))


def test_sigmas_are_those_of_stability():
    """k / n moves the loss by L k / n, so that sigma_0 is the stability proxy."""
    n = 25
    lipschitz = CONSTANTS.stability * CONSTANTS.lipschitz / n
    assert standard_sigma(CONSTANTS, n) == pytest.approx(stability_proxy(lipschitz, n, CONSTANTS.loss_range))
    local = CONSTANTS.gradient + 0.3 * CONSTANTS.curvature
    stable = stability_proxy(CONSTANTS.stability * local / n, n, CONSTANTS.loss_range)
    assert smoothed_sigma(CONSTANTS, n, 0.3) == pytest.approx(stable)
    printed, needed = (roughness_sigma(CONSTANTS, n, 0.3, each) for each in (True, False))
    assert printed - needed == pytest.approx(CONSTANTS.gradient * 0.3 / 5.0)


@pytest.mark.parametrize("loss", ["log", "brier"])
@pytest.mark.parametrize("seed", range(6))
def test_the_bound_holds_on_enumerated_processes(seed, loss):
    """With the student's own sharpness taken off, for any loss; as printed wherever that is not negative."""
    world = draw_world(seed, 0, 2, 4, margin=3.0)
    process = world_process(world, loss, 0.1, num_examples=4, inverse_temperature=1.0)
    process = process._replace(student=Gibbs(process.teacher.log_prior, 3.0))
    found = enumerate_process(process)
    divergence = distillation_divergence(found.student, found.teacher).total
    for radius in (0.2, 1.0, 3.0):
        smoothed = smoothed_losses(world.margins, loss, radius)
        risen = smoothed - process.losses
        sharp, weights = population_losses(process, risen), found.teacher.weights
        roughness = empirical_losses(found.types, risen)
        gaps = generalisation_gaps(process, found.types, smoothed)
        np.testing.assert_allclose(gaps - sharp + roughness, found.gaps, atol=1e-12)  # h = h_u - S_P + S_D
        sigmas = cumulant_certificate(gaps, weights), cumulant_certificate(roughness, weights)
        upper = sharpness_bound(found.gen_teacher, float(weights.sum(axis=0) @ sharp), *sigmas, divergence)
        of_student = float(found.student.weights.sum(axis=0) @ sharp)
        assert found.gen_student <= upper - of_student + 1e-12
        if loss == "log":
            assert (risen > 0.0).all()  # convex
            assert found.gen_student <= upper


def test_unusable_constants_and_counts_are_refused():
    with pytest.raises(UserError, match="curvature"):
        standard_sigma(CONSTANTS._replace(curvature=-1.0), 5)
    with pytest.raises(UserError, match="even number"):
        ball_points(3, 5, 0)
