r"""Sharpness: how much a loss rises on average in a ball around a model, and the bound that knows it.

With U uniform on the ball of radius rho, ``S(f) = E_U L(f + U) - L(f)`` and ``h_u = E_U h(D, f + U)``, the gap is
``h = h_u - S_P(f) + S_D(f)``. If h_u is sigma_u^2-sub-Gaussian and S_D nu^2-sub-Gaussian under the teacher's law, then

    gen_S <= gen_T + E S_P(f_T) + (sigma_u + nu) sqrt(2 K),

provided that the student's own E S_P(f_S) is not negative: it never is for convex losses, but it may be in general.

From constants of a smooth loss and a stable teacher (:class:`Smoothness`), with s = sqrt(2 K / n), the bound is below
``gen_T + sigma_0 sqrt(2 K)`` exactly for ``rho < rho_0`` (:func:`tightness_radius`), which needs g0 < L. It rises with
rho all the way, so that what is gained is a local Lipschitz constant in place of a global one, not flatness itself.
Source: Li & He, arXiv 2605.13143.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import roots_gegenbauer

from kd_uncertainty.bounds.generalisation import half_width
from kd_uncertainty.bounds.proxies import Certificate
from kd_uncertainty.errors import UserError

Floats = NDArray[np.float64]


class Smoothness(NamedTuple):
    """Constants of a loss in [a, b] and of a deterministic teacher with n examples.

    Attributes:
        stability: k; parameters move by at most k / n when one example is replaced.
        lipschitz: L, of the loss in the parameters, everywhere.
        gradient: g0, the largest gradient of the loss at what the teacher returns.
        curvature: a, the Lipschitz constant of the gradient.
        sharpness: tau; E S_P(f_T) is at most tau rho^2 / 2.
        loss_range: b - a.
    """

    stability: float
    lipschitz: float
    gradient: float
    curvature: float
    sharpness: float
    loss_range: float


def ball_points(dimension: int, count: int, seed: int) -> Floats:
    """Points uniform in the unit ball, (count, dimension), in opposite pairs, so that their mean is exactly 0.

    Raises:
        UserError: if the count is odd.
    """
    if count % 2 or count < 2:
        raise UserError(f"bounds: {count} points of a ball make no opposite pairs; ask for an even number")
    generator = np.random.default_rng(seed)
    directions = generator.standard_normal((count // 2, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    half = directions * generator.random((count // 2, 1)) ** (1.0 / dimension)
    return np.concatenate([half, -half])


def coordinate_rule(dimension: int, order: int) -> tuple[Floats, Floats]:
    """Nodes in (-1, 1) and weights of one coordinate of a point uniform in the unit ball.

    Its density is ~ (1 - t^2)^((d - 1) / 2). Averages of polynomials up to degree 2 ``order`` - 1 are exact
    (Gauss-Gegenbauer).
    """
    nodes, weights = roots_gegenbauer(order, dimension / 2.0)
    return np.asarray(nodes), np.asarray(weights / weights.sum())


def ball_average(loss: Callable[[Floats], Floats], centre: Floats, radius: float, points: Floats) -> float:
    """E_U loss(centre + radius U).

    Args:
        loss: of parameters (points, dimension): (points,).
        centre: parameters, (dimension,).
        radius: rho.
        points: U, (points, dimension).
    """
    return float(np.mean(loss(centre + radius * points)))


def sharpness(loss: Callable[[Floats], Floats], centre: Floats, radius: float, points: Floats) -> float:
    """S = E_U loss(centre + radius U) - loss(centre)."""
    return ball_average(loss, centre, radius, points) - float(loss(centre[None])[0])


def sharpness_bound(
    gen_teacher: float, mean_sharpness: float, smoothed: float, roughness: float, divergence: float
) -> float:
    """gen_T + E S_P(f_T) + (sigma_u + nu) sqrt(2 K); see above for when it holds.

    Args:
        gen_teacher: gen_T.
        mean_sharpness: E S_P(f_T).
        smoothed: sigma_u, of h_u.
        roughness: nu, of S_D.
        divergence: K.
    """
    return gen_teacher + mean_sharpness + half_width(smoothed + roughness, divergence)


def standard_sigma(constants: Smoothness, num_examples: int) -> Certificate:
    """sigma_0 = [k L + (b - a) / 2] / sqrt(n)."""
    _check(constants)
    half = constants.loss_range / 2.0
    return Certificate((constants.stability * constants.lipschitz + half) / math.sqrt(num_examples))


def smoothed_sigma(constants: Smoothness, num_examples: int, radius: float) -> Certificate:
    """sigma_u = [k (g0 + a rho) + (b - a) / 2] / sqrt(n)."""
    _check(constants)
    slope = constants.gradient + constants.curvature * radius
    return Certificate((constants.stability * slope + constants.loss_range / 2.0) / math.sqrt(num_examples))


def roughness_sigma(constants: Smoothness, num_examples: int, radius: float, printed: bool = True) -> Certificate:
    """Nu = [a k rho / 2 + g0 rho + a rho^2 / 2] / sqrt(n).

    Args:
        constants: of loss and teacher.
        num_examples: n.
        radius: rho.
        printed: whether to keep g0 rho as the paper prints it; it is not needed, since E U = 0.
    """
    _check(constants)
    linear = constants.gradient if printed else 0.0
    slope = constants.curvature * constants.stability / 2.0 + linear
    return Certificate((slope * radius + constants.curvature * radius**2 / 2.0) / math.sqrt(num_examples))


def smooth_bound(
    gen_teacher: float,
    constants: Smoothness,
    num_examples: int,
    radius: float,
    divergence: float,
    printed: bool = True,
) -> float:
    """The sharpness-aware upper bound of gen_S from constants; it rises with rho."""
    return sharpness_bound(
        gen_teacher,
        constants.sharpness * radius**2 / 2.0,
        smoothed_sigma(constants, num_examples, radius),
        roughness_sigma(constants, num_examples, radius, printed),
        divergence,
    )


def tightness_radius(constants: Smoothness, num_examples: int, divergence: float, printed: bool = True) -> float:
    r"""rho_0, below which the sharpness-aware bound is under the standard one; 0 if g0 >= L, infinite if nothing rises.

    The positive root of ``(tau / 2 + s A2) rho^2 + s A1 rho - s A0 = 0`` with A0 = k (L - g0), A1 = 3 a k / 2 + g0,
    A2 = a / 2 and s = sqrt(2 K / n). It is written ``2 s A0 / (s A1 + root)``, which does not cancel.
    """
    _check(constants)
    gained = constants.stability * (constants.lipschitz - constants.gradient)
    scale = math.sqrt(2.0 * divergence / num_examples)
    if gained <= 0.0 or scale == 0.0:
        return 0.0
    linear = scale * (1.5 * constants.curvature * constants.stability + (constants.gradient if printed else 0.0))
    square = constants.sharpness / 2.0 + scale * constants.curvature / 2.0
    root = math.sqrt(linear**2 + 4.0 * square * scale * gained)
    return 2.0 * scale * gained / (linear + root) if linear + root > 0.0 else math.inf


def _check(constants: Smoothness) -> None:
    for name, value in constants._asdict().items():
        if not 0.0 <= value < math.inf:
            raise UserError(f"bounds: constant {name} of loss and teacher is {value:g}; it must be finite, at least 0")
