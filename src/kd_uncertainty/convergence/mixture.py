r"""Teacher and labels mixed: the plateau against the teacher's weight, a parabola with its minimum at lambda*.

The noise of a mixture is ``(1 - lambda)^2 sigma_one_hot + lambda^2 sigma_teacher``, least at the inverse-variance rule
``lambda* = sigma_one_hot / (sigma_one_hot + sigma_teacher)``. The plateau is proportional to it as the step goes to 0.
A finite step adds terms of second order, which move the measured minimum a little: by up to 0.003 at an eighth of
1 / L, where 240 seeds were asked.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kd_uncertainty.convergence._tables import columns, jackknife
from kd_uncertainty.convergence.descent import Paths, Plan
from kd_uncertainty.convergence.supervision import Supervision, best_mixing, gradient_noise
from kd_uncertainty.convergence.world import Floats, LinearWorld
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import positive_mean, student_mean


def mixtures(teachers: Sequence[Supervision], mixing: Sequence[float]) -> list[Supervision]:
    """Every teacher with every weight, in that order."""
    return [teacher._replace(mixing=weight) for teacher in teachers for weight in mixing]


def mixture_table(
    world: LinearWorld, plan: Plan, paths: Paths, noise: Sequence[Floats], confidence: float = 0.95
) -> pd.DataFrame:
    """Return one row a teacher and weight.

    Args:
        world: the task.
        plan: the students, of one learning rate; its arms are those of :func:`mixtures`.
        paths: what they reached at the steps of the plateau.
        noise: drawn gradient noise of each arm, (draws,).
        confidence: of the intervals: over draws for the noise, over seeds for the rest.

    Returns:
        arm (the teacher), level, mixing, learning_rate; predicted_noise; with bounds measured_noise;
        predicted_plateau; with bounds plateau (mean excess risk, nats); lambda_star, and with bounds lambda_hat (where
        the parabola through the plateaus is least, the same in all rows of a teacher); num_seeds.
    """
    plateaus, rate = paths.excess[:, :, 0].mean(axis=0).T, plan.learning_rates[0]  # (seeds, arms)
    rows = []
    for number, (arm, drawn) in enumerate(zip(plan.arms, noise, strict=True)):
        same = [row for row, other in enumerate(plan.arms) if other._replace(mixing=arm.mixing) == arm]
        weights, predicted = [plan.arms[row].mixing for row in same], gradient_noise(world, arm)
        rows.append(
            {
                "arm": arm.teacher,
                "level": arm.level,
                "mixing": arm.mixing,
                "learning_rate": rate,
                "predicted_noise": predicted,
                **columns(measured_noise=student_mean(drawn, confidence)),
                "predicted_plateau": rate * predicted / 4.0,
                **columns(plateau=positive_mean(plateaus[:, number], confidence)),
                "lambda_star": best_mixing(world, arm),
                **columns(lambda_hat=_minimiser(weights, plateaus[:, same], confidence)),
                "num_seeds": len(plan.seeds),
            }
        )
    return pd.DataFrame(rows)


def _minimiser(mixing: Sequence[float], plateaus: Floats, confidence: float) -> Interval:
    """Where the least-squares parabola through the mean of plateaus (seeds, weights) is least; NaN if it is nowhere."""

    def least(mean: Floats) -> float:
        square, linear, _ = np.polyfit(mixing, mean, 2)
        return float(-linear / (2.0 * square)) if square > 0.0 else math.nan

    return jackknife(plateaus, least, confidence)
