r"""Where stochastic gradient descent ends: the neighbourhood of the optimum, its size, and what removes it.

Statements that are put to the test in the linear world (Morad, Shlezinger & Eldar, arXiv 2601.01484), at step size
alpha and gradient noise sigma* (see :mod:`~kd_uncertainty.convergence.supervision`):

1. **Plateau** (:mod:`~kd_uncertainty.convergence.plateau`). The excess risk stays at ``alpha sigma* / 4``; with exact
   probabilities it falls geometrically until arithmetic ends it.
2. **Step sweep** (:mod:`~kd_uncertainty.convergence.step_sweep`). Exact probabilities double the step that the
   theorem guarantees and remove the neighbourhood from its bound; the largest stable step is measured beside it.
3. **Mixture** (:mod:`~kd_uncertainty.convergence.mixture`). The plateau is least where one-hot labels and teacher are
   weighted by inverse variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from pydantic import Field, PositiveFloat, field_validator
from tqdm import tqdm

from kd_uncertainty.convergence import step_sweep
from kd_uncertainty.convergence.curvature import smoothness
from kd_uncertainty.convergence.descent import Plan, follow
from kd_uncertainty.convergence.gradient_noise import measured_noise
from kd_uncertainty.convergence.mixture import mixture_table, mixtures
from kd_uncertainty.convergence.plateau import descent_table, plateau_table
from kd_uncertainty.convergence.supervision import Supervision, best_mixing, supervisions
from kd_uncertainty.convergence.world import Floats, LinearWorld
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.typed import Distinct, Fraction, Options, Seed, Share

MIN_SEEDS = 4
"""Fewer seeds have no interval worth the name."""


class NeighbourhoodOptions(Options):
    """The students of the section."""

    additive: Distinct[PositiveFloat] = Field((0.01, 0.05), description="variances nu of additive noise")
    dirichlet: Distinct[PositiveFloat] = Field((0.5, 5.0), description="a of Dirichlet(a P); larger is less noisy")
    learning_rates: Distinct[PositiveFloat] = Field(
        (1 / 32, 1 / 16, 1 / 8, 1 / 2, 1.0), description="of the descent, as multiples of 1 / L"
    )
    small: PositiveFloat = Field(
        0.2, description="learning rates up to this multiple of 1 / L are small: the slope of the plateau is theirs"
    )
    steps: int = Field(30_000, ge=100, description="of the descent and of mixtures")
    burn_in: Fraction = Field(0.5, description="share of the steps before the plateau is measured")
    snapshots: int = Field(100, ge=2, description="of each student's excess risk along the plateau")
    curve_points: int = Field(50, ge=2, description="steps of the curves, at even ratios")
    sweep: Distinct[PositiveFloat] = Field(
        (0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 12.0, 16.0),
        description="learning rates of the step sweep, as multiples of 1 / L",
    )
    sweep_steps: int = Field(2_000, ge=20, description="of the step sweep")
    mixing: Distinct[Share] = Field(
        (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 1.0), description="weights of the teacher; three make a parabola"
    )
    mixing_learning_rate: PositiveFloat = Field(1 / 8, description="of mixtures, as a multiple of 1 / L")
    num_draws: int = Field(400, ge=2, description="targets of every example for the measured gradient noise")
    num_seeds: int = Field(24, ge=MIN_SEEDS, description="students of each arm and learning rate")
    seed: Seed = 10

    @field_validator("mixing")
    @classmethod
    def _make_a_parabola(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if len(value) < 3:
            raise ValueError(f"{len(value)} weights make no parabola; name at least three, such as [0, 0.5, 1]")
        return value


class Neighbourhood(NamedTuple):
    """The four tables of the section; see :func:`neighbourhood_tables`."""

    descent: pd.DataFrame
    plateau: pd.DataFrame
    step_sweep: pd.DataFrame
    mixture: pd.DataFrame


def neighbourhood_tables(
    world: LinearWorld, options: NeighbourhoodOptions, confidence: float = 0.95, progress: bool = False
) -> Neighbourhood:
    """Run the students of the section from weights of 0 and return what they reach.

    Students of one seed share examples and label noise across arms, learning rates and mixings. All intervals are over
    seeds, for this world.

    Args:
        world: the task.
        options: of the section.
        confidence: of the intervals.
        progress: whether to show a bar.

    Returns:
        Tables with the columns of :func:`~kd_uncertainty.convergence.plateau.descent_table` (at steps of even ratios),
        :func:`~kd_uncertainty.convergence.plateau.plateau_table`,
        :func:`~kd_uncertainty.convergence.step_sweep.step_sweep_table` and
        :func:`~kd_uncertainty.convergence.mixture.mixture_table`.
    """
    total = 2 * options.steps + 2 * options.sweep_steps
    with tqdm(total=total, desc="neighbourhood", unit="step", disable=not progress) as bar:
        arms = [*supervisions(options.additive, options.dirichlet), *_best_mixtures(world, options)]
        plan = _plan(world, options, arms, options.learning_rates)
        paths = follow(world, plan, sorted({*_curve_steps(options), *_late_steps(options)}), advance=bar.update)
        sweep = _plan(world, options, step_sweep.ARMS, options.sweep)
        swept = step_sweep.run(world, sweep, options.sweep_steps, bar.update)
        teachers = supervisions(options.additive, options.dirichlet)[2:]
        mixed = _plan(world, options, mixtures(teachers, options.mixing), [options.mixing_learning_rate])
        mixed_paths = follow(world, mixed, _late_steps(options), advance=bar.update)
    noise = [measured_noise(world, arm, options.num_draws, options.seed) for arm in mixed.arms]
    small = options.small / smoothness(world.inputs)
    return Neighbourhood(
        descent_table(plan, paths, _curve_steps(options), confidence),
        plateau_table(world, plan, paths, _late_steps(options), small, confidence),
        step_sweep.step_sweep_table(world, sweep, swept, confidence),
        mixture_table(world, mixed, mixed_paths, noise, confidence),
    )


def _plan(
    world: LinearWorld, options: NeighbourhoodOptions, arms: Sequence[Supervision], multiples: Sequence[float]
) -> Plan:
    unit = 1.0 / smoothness(world.inputs)
    seeds = [derive_seed(options.seed, "student", number) for number in range(options.num_seeds)]
    return Plan(arms, [multiple * unit for multiple in multiples], seeds)


def _best_mixtures(world: LinearWorld, options: NeighbourhoodOptions) -> list[Supervision]:
    """Each Dirichlet teacher mixed with one-hot labels by the inverse-variance rule."""
    teachers = [Supervision("dirichlet", level) for level in options.dirichlet]
    return [teacher._replace(mixing=best_mixing(world, teacher)) for teacher in teachers]


def _curve_steps(options: NeighbourhoodOptions) -> list[int]:
    return [0, *_distinct(np.geomspace(1, options.steps, options.curve_points))]


def _late_steps(options: NeighbourhoodOptions) -> list[int]:
    begin = int(options.burn_in * options.steps)
    return _distinct(np.linspace(begin, options.steps, options.snapshots))


def _distinct(steps: Floats) -> list[int]:
    return [int(step) for step in np.unique(steps.round())]
