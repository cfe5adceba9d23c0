r"""The way down and its end: excess risk along descent, and the plateau that label noise keeps it on.

Near the optimum the stationary covariance S of the weights solves ``H S + S H = alpha C`` to first order in alpha, with
C the covariance of the gradients at theta*. Multiply by 1/2 and take traces: the excess risk is ``tr(H S) / 2 =
alpha tr(C) / 4 = alpha sigma* / 4``, whatever the shape of C. With exact probabilities C = 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.convergence._tables import NONE, columns, jackknife, scaled
from kd_uncertainty.convergence.descent import Paths, Plan
from kd_uncertainty.convergence.supervision import EXACT, gradient_noise
from kd_uncertainty.convergence.world import Floats, LinearWorld
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import positive_mean, student_mean

FLOOR = 1e-24
"""Excess risk below this (nats) is the rounding of weights: the square of 1e-12."""


def descent_table(plan: Plan, paths: Paths, steps: Sequence[int], confidence: float = 0.95) -> pd.DataFrame:
    """Return the curves, one row an arm, learning rate and step.

    Args:
        plan: the students.
        paths: what they reached.
        steps: those of the recorded that the curves show.
        confidence: of the intervals, over seeds.

    Returns:
        arm, level, mixing, learning_rate, step; with bounds excess_risk (nats) and distance (squared, to theta*);
        num_seeds.
    """
    chosen = np.flatnonzero(np.isin(paths.steps, steps))
    rows = [
        {
            **keys,
            "step": int(paths.steps[time]),
            **columns(
                excess_risk=positive_mean(paths.excess[time, row, column], confidence),
                distance=positive_mean(paths.distance[time, row, column], confidence),
            ),
            "num_seeds": len(plan.seeds),
        }
        for row, column, keys in _cells(plan)
        for time in chosen
    ]
    return pd.DataFrame(rows)


def plateau_table(
    world: LinearWorld, plan: Plan, paths: Paths, late: Sequence[int], small: float, confidence: float = 0.95
) -> pd.DataFrame:
    """Return where the curves end, one row an arm and learning rate.

    Args:
        world: the task.
        plan: the students; exact supervision is among the arms.
        paths: what they reached.
        late: the recorded steps of the plateau.
        small: largest learning rate of the slope.
        confidence: of the intervals, over seeds.

    Returns:
        arm, level, mixing, learning_rate; with bounds plateau (mean excess risk over the late steps; of exact
        probabilities the last), predicted_plateau = alpha sigma* / 4, with bounds ratio (to the prediction; NaN for
        exact), rate (factor of the excess risk a step, of exact probabilities) and slope (of log plateau in log alpha
        over small steps, the same in all rows of an arm); transient (what is left of the start at the late steps: the
        excess risk of exact probabilities there, as a share of the plateau); floor_reached (all seeds below
        ``FLOOR``); num_seeds.
    """
    ends = paths.excess[np.isin(paths.steps, late)].mean(axis=0)  # (arms, rates, seeds)
    left = ends[list(plan.arms).index(EXACT)].mean(axis=-1)
    slow = [column for column, rate in enumerate(plan.learning_rates) if rate <= small * (1.0 + 1e-12)]
    rates = np.asarray(plan.learning_rates)[slow]
    rows = []
    for row, column, keys in _cells(plan):
        last, predicted = (
            paths.excess[-1, row, column],
            keys["learning_rate"] * gradient_noise(world, plan.arms[row]) / 4,
        )
        if plan.arms[row] == EXACT:
            plateau, slope, share = positive_mean(last, confidence), NONE, math.nan
            falls = student_mean(_log_rates(paths.steps, paths.excess[:, row, column]), confidence)
            rate, ratio = Interval(*np.exp(falls).tolist()), NONE
        else:
            plateau, rate = positive_mean(ends[row, column], confidence), NONE
            slope = _slope(rates, ends[row, slow].T, confidence)
            ratio, share = scaled(plateau, 1.0 / predicted), float(left[column]) / plateau.estimate
        rows.append(
            {
                **keys,
                **columns(plateau=plateau),
                "predicted_plateau": predicted,
                **columns(ratio=ratio, rate=rate, slope=slope),
                "transient": share,
                "floor_reached": bool((last < FLOOR).all()),
                "num_seeds": len(plan.seeds),
            }
        )
    return pd.DataFrame(rows)


def _cells(plan: Plan) -> list[tuple[int, int, dict[str, Any]]]:
    """Positions of arm and learning rate, and the columns that name them."""
    return [
        (row, column, {**arm.keys, "learning_rate": rate})
        for row, arm in enumerate(plan.arms)
        for column, rate in enumerate(plan.learning_rates)
    ]


def _log_rates(steps: NDArray[np.int64], excess: Floats) -> Floats:
    """Each seed's slope of log excess in steps, over the later half of the way to the floor, (seeds,).

    Args:
        steps: (recorded steps,).
        excess: (recorded steps, seeds).
    """
    slopes = np.full(excess.shape[1], np.nan)
    for seed, values in enumerate(excess.T):
        below = np.flatnonzero(values < FLOOR)
        end = int(below[0]) if len(below) else len(values)
        begin = int(np.searchsorted(steps[:end], steps[end - 1] / 2.0))
        if end - begin >= 2:
            slopes[seed] = np.polyfit(steps[begin:end], np.log(values[begin:end]), 1)[0]
    return slopes


def _slope(rates: Floats, plateaus: Floats, confidence: float) -> Interval:
    """Slope of the log of the mean plateau (seeds, rates) in log alpha; NaN with fewer than two rates."""
    if len(rates) < 2:
        return NONE
    return jackknife(plateaus, lambda mean: float(np.polyfit(np.log(rates), np.log(mean), 1)[0]), confidence)
