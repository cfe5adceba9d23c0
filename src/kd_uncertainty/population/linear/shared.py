"""Students that share their inputs: one pseudo-inverse, applied to every student's noisy targets."""

from __future__ import annotations

from typing import Literal

import numpy as np

from kd_uncertainty.errors import UserError
from kd_uncertainty.population.linear.blas import row_products
from kd_uncertainty.population.linear.contract import Floats, Seeds, Train
from kd_uncertainty.population.linear.design import Design
from kd_uncertainty.population.linear.noise import standard_normals

PROJECTED_STREAM = 1 << 63
"""The noise stream of projected draws, far from those of the responses (0, 1, ...)."""


def fit_targets(design: Design, targets: Floats) -> Floats:
    """Return the least-squares parameters of every student, (students, parameters): ``targets @ pseudo_inverse``.

    Args:
        design: from ``make_design``.
        targets: (students, examples), what each student is trained on.

    Raises:
        UserError: if the targets are not finite or not one for each example.
    """
    return row_products(as_targets(design, targets, (len(targets), design.num_examples)), design.pseudo_inverse)


def noisy_students(
    design: Design,
    means: Floats,
    noise_std: float | Floats,
    *,
    num_responses: int = 1,
    draw: Literal["examples", "projected"] = "examples",
) -> Train:
    """Return what trains students on their own responses of a noisy teacher.

    Response ``j`` of student ``s`` to example ``i`` is ``means[i] + noise_std[i] z``, where ``z`` is normal ``i`` of
    stream ``j`` of the student's seed (:func:`~kd_uncertainty.population.linear.noise.standard_normals`). The student
    is fitted to the mean of its ``num_responses`` responses.

    With ``draw="projected"`` only the noise of the coordinates is drawn, the sufficient statistic: as many normals as
    there are coordinates instead of examples times responses. The students have the same distribution, exactly, but
    they are not those of ``draw="examples"``, and there is no noise of single examples to look at.

    Args:
        design: from ``make_design``.
        means: (examples,), the teacher's mean responses.
        noise_std: the responses' standard deviation, one or (examples,), in the units of the means.
        num_responses: responses averaged, k.
        draw: what is drawn.

    Raises:
        UserError: if an argument is not as above.
    """
    means = as_targets(design, means, (design.num_examples,))
    std = as_noise_std(design, noise_std)
    if num_responses < 1:
        raise UserError(f"linear students: num_responses is {num_responses}; set it to 1 or more")
    mean_parameters = means @ design.pseudo_inverse
    matrix = std[:, None] * design.pseudo_inverse / num_responses

    def train(seeds: Seeds) -> Floats:
        noise = standard_normals(seeds, 0, design.num_examples)
        for response in range(1, num_responses):
            noise += standard_normals(seeds, response, design.num_examples)
        return row_products(noise, matrix) + mean_parameters

    if draw == "examples":
        return train
    # noise of the coordinates: basis' diag(std) z, whose covariance is root' root
    root = np.linalg.qr(std[:, None] * design.basis, mode="r")
    coordinates = root @ design.back / np.sqrt(num_responses)

    def train_projected(seeds: Seeds) -> Floats:
        noise = standard_normals(seeds, PROJECTED_STREAM, len(coordinates))
        return row_products(noise, coordinates) + mean_parameters

    return train_projected


def parameter_covariance(design: Design, noise_std: float | Floats, num_responses: int = 1) -> Floats:
    """Return the exact covariance of the parameters over students of :func:`noisy_students`, (parameters, parameters).

    ``P' diag(noise_std^2) P / k`` with the pseudo-inverse ``P``; for one standard deviation and full rank, without
    ridge, that is ``noise_std^2 (X'X)^-1 / k``.
    """
    scaled = as_noise_std(design, noise_std)[:, None] * design.pseudo_inverse
    return scaled.T @ scaled / num_responses


def prediction_variance(design: Design, points: Floats, noise_std: float | Floats, num_responses: int = 1) -> Floats:
    """Return the exact inter-student variance of the predictions at ``points``, (points,): ``x' Cov x``.

    Args:
        design: from ``make_design``.
        points: (points, features).
        noise_std: as in :func:`noisy_students`.
        num_responses: likewise.
    """
    extended = np.column_stack([points, np.ones(len(points))]) if design.intercept else points
    scaled = as_noise_std(design, noise_std)[:, None] * (design.pseudo_inverse @ extended.T)
    return np.asarray((scaled**2).sum(0) / num_responses)


def as_targets(design: Design, targets: Floats, shape: tuple[int, ...]) -> Floats:
    """Return targets as contiguous float64 of this shape.

    Raises:
        UserError: if they are not.
    """
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    if targets.shape != shape or not np.isfinite(targets).all():
        raise UserError(
            f"linear students: the targets must be finite numbers of shape {shape} for {design.num_examples} examples, "
            f"not of shape {targets.shape}; give each training example one number"
        )
    return targets


def as_noise_std(design: Design, noise_std: float | Floats) -> Floats:
    """Return the standard deviations as (examples,).

    Raises:
        UserError: if they are negative, not finite, or neither one nor one for each example.
    """
    std = np.asarray(noise_std, dtype=np.float64)
    if std.shape not in ((), (design.num_examples,)) or not (np.isfinite(std) & (std >= 0)).all():
        raise UserError(
            f"linear students: noise_std must be one finite number or {design.num_examples}, none of them negative; it "
            f"is a standard deviation, so take the square root of a variance"
        )
    return np.broadcast_to(std, (design.num_examples,))
