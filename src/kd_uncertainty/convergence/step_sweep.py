r"""Step sizes from small to unstable: does the theorem's bound hold, and which step is the largest that is stable?

**The bound** (Morad, Shlezinger & Eldar, arXiv 2601.01484). With L and mu of
:mod:`~kd_uncertainty.convergence.curvature`, for ``alpha <= 1 / (2 L)``::

    E ||theta_T - theta*||^2 <= (1 - alpha mu)^T ||theta_0 - theta*||^2 + 2 alpha sigma* / mu

and with exact probabilities the last term is gone and ``alpha <= 1 / L`` will do. That is twice the *guaranteed* step.
The factor comes from ``E ||g||^2 <= 2 E ||g - g*||^2 + 2 sigma*``. But labels that are drawn afresh have noise of mean
0 whatever theta, the cross term vanishes, ``E ||g||^2 = E ||g_exact||^2 + sigma*``, and the same proof then gives noisy
labels ``alpha <= 1 / L`` as well, with ``alpha sigma* / mu``.

**Stability** is another question: whether the start is forgotten. Two students that start at 0 and at theta*, and see
the same examples and labels, come together geometrically or they do not. Their gradients differ by ``(p - p') (x) x``,
where the label has cancelled: label noise acts on stability only through where the students are, and nothing says that
the largest stable step doubles. The linearised limit is the same for all labels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kd_uncertainty.convergence._tables import columns, scaled
from kd_uncertainty.convergence.curvature import mean_square_limit, smoothness, strong_convexity
from kd_uncertainty.convergence.descent import Plan, descend, squared_distance, squared_length
from kd_uncertainty.convergence.divergence import quasi_convexity
from kd_uncertainty.convergence.supervision import EXACT, ONE_HOT, gradient_noise
from kd_uncertainty.convergence.world import Floats, LinearWorld
from kd_uncertainty.uncertainty.budget import Interval
from kd_uncertainty.uncertainty.students import positive_mean, student_mean

ARMS = (ONE_HOT, EXACT)
"""What the theorem compares."""

_POINTS = 41
"""Recorded steps, evenly spaced."""
_TOGETHER = 1e-24
"""Squared distance, as a share of that at the start, at which two students are one but for rounding."""


class Swept(NamedTuple):
    """What the sweep's students reach, each (recorded steps, arms, learning rates, seeds).

    Attributes:
        steps: (recorded steps,), from 0.
        distance: squared, to theta*, of the students that start at 0.
        convexity: their quasi-convexity.
        apart: their squared distances to those that started at theta*.
    """

    steps: NDArray[np.int64]
    distance: Floats
    convexity: Floats
    apart: Floats


def run(world: LinearWorld, plan: Plan, steps: int, advance: Callable[[int], object] | None = None) -> Swept:
    """Run the sweep's students from 0 and, on the same examples and labels, from theta*.

    Args:
        world: the task.
        plan: the students.
        steps: how many.
        advance: told of finished steps; twice ``steps`` in all.
    """
    recorded = np.unique(np.linspace(0, steps, _POINTS).round().astype(int))
    pairs = zip(
        descend(world, plan, recorded.tolist(), None, advance),
        descend(world, plan, recorded.tolist(), world.weights, advance),
        strict=True,
    )
    measured = []
    for first, second in pairs:
        distance = squared_distance(world, first)
        measured.append((distance, quasi_convexity(world, first, distance), squared_length(first - second)))
    return Swept(recorded, *(np.stack(values) for values in zip(*measured, strict=True)))


def step_sweep_table(world: LinearWorld, plan: Plan, swept: Swept, confidence: float = 0.95) -> pd.DataFrame:
    """Return one row an arm and learning rate.

    Args:
        world: the task.
        plan: the students.
        swept: what they reached.
        confidence: of the intervals, over seeds.

    Returns:
        arm, learning_rate; guarantee (the largest step of the theorem), within_guarantee; with bounds final_distance
        (squared) and contraction (final over initial squared distance to theta*); strong_convexity (mu: the smaller
        of that at theta* and of the quasi-convexity at any recorded point of any student of the row); bound (the
        theorem's value at the last step, beyond the guarantee what its formula would say) and bound_holds (the mean
        final distance is not above it, but for rounding); with bounds memory (squared distance of two students that
        started apart, final over initial) and growth (of its logarithm a step, in the later half of the way;
        negative: the start is forgotten); linear_limit (the step up to which the linearised descent has a stationary
        covariance, the same for all labels); diverged_share (of students that end further from theta* than they
        began); num_seeds.
    """
    smooth, convex = smoothness(world.inputs), strong_convexity(world.inputs, world.probabilities)
    steps, begin = int(swept.steps[-1]), float(swept.distance[0, 0, 0, 0])
    limit = mean_square_limit(world.inputs, world.probabilities)
    rows = []
    for row, arm in enumerate(plan.arms):
        noise = gradient_noise(world, arm)
        guarantee = 1.0 / smooth if noise == 0.0 else 0.5 / smooth
        for column, rate in enumerate(plan.learning_rates):
            final = swept.distance[-1, row, column]
            constant = min(convex, float(swept.convexity[:, row, column].min()))
            bound = max(1.0 - rate * constant, 0.0) ** steps * begin + 2.0 * rate * noise / constant
            reached = positive_mean(final, confidence)
            rows.append(
                {
                    "arm": arm.arm,
                    "learning_rate": rate,
                    "guarantee": guarantee,
                    "within_guarantee": bool(rate <= guarantee * (1.0 + 1e-12)),
                    **columns(final_distance=reached, contraction=scaled(reached, 1.0 / begin)),
                    "strong_convexity": constant,
                    "bound": bound,
                    "bound_holds": bool(reached.estimate <= bound + _TOGETHER * begin),
                    **columns(
                        memory=scaled(positive_mean(swept.apart[-1, row, column], confidence), 1.0 / begin),
                        growth=student_mean(_growth(swept.steps, swept.apart[:, row, column]), confidence),
                    ),
                    "linear_limit": limit,
                    "diverged_share": float((final > begin).mean()),
                    "num_seeds": len(plan.seeds),
                }
            )
    return pd.DataFrame(rows)


def stability_limit(step_sweep: pd.DataFrame) -> pd.DataFrame:
    """Bracket the largest stable step of every arm, from the sweep's steps.

    A step is stable if the start is forgotten geometrically: the upper bound of ``growth`` is negative.

    Args:
        step_sweep: the table of :func:`step_sweep_table`.

    Returns:
        arm; limit with limit_lower (the largest step up to which all are stable) and limit_upper (the first step that
        is not), the limit their geometric mean; guarantee. Infinite above if all are stable, 0 below if none is.
    """
    rows = []
    for arm, part in step_sweep.sort_values("learning_rate").groupby("arm", sort=False):
        rates, stable = part["learning_rate"].to_numpy(), (part["growth_upper"] < 0.0).to_numpy()
        first = len(stable) if stable.all() else int(np.argmin(stable))
        lower, upper = (rates[first - 1] if first else 0.0), (rates[first] if first < len(rates) else np.inf)
        limit = Interval(float(np.sqrt(lower * upper)) if lower > 0.0 else 0.0, float(lower), float(upper))
        rows.append({"arm": arm, **columns(limit=limit), "guarantee": part["guarantee"].iloc[0]})
    return pd.DataFrame(rows)


def _growth(steps: NDArray[np.int64], apart: Floats) -> Floats:
    """Each seed's change of log squared distance a step, over the later half of the way until they are one, (seeds,).

    Args:
        steps: (recorded steps,).
        apart: (recorded steps, seeds).
    """
    growth = np.empty(apart.shape[1])
    for seed, values in enumerate(apart.T):
        one = np.flatnonzero(values < _TOGETHER * values[0])
        end = max(int(one[0]) - 1, 1) if len(one) else len(values) - 1
        begin = end // 2
        growth[seed] = np.log(max(values[end], 1e-300) / values[begin]) / (steps[end] - steps[begin])
    return growth
