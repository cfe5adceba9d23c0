r"""What the bounds say about networks that Langevin dynamics trains, a kernel beside noised minimisers.

Population, sets, pseudo-labels, gaps, data's shift and constants are those of :mod:`~kd_uncertainty.bounds.networks`.
Teacher and student are chains of stochastic-gradient Langevin dynamics (:mod:`~kd_uncertainty.bounds.langevin_paths`)
from one start with one order of batches; a model is where a chain ends. They differ by the gradient they follow: the
student's loss has another temperature, or another regulariser.

The algorithm's shift is the divergence of the paths at the same pseudo-labelled set, which is from above for ends. From
below it is estimated in function space (:func:`~kd_uncertainty.bounds.langevin_paths.function_space`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm import tqdm

from kd_uncertainty.bounds._langevin_options import LangevinBoundsOptions, LangevinFit, Role
from kd_uncertainty.bounds._networks_measures import Measured, label_shifts, pseudo_labelled
from kd_uncertainty.bounds._networks_training import with_replacements
from kd_uncertainty.bounds.finite_population import (
    FinitePopulation,
    TrainingSets,
    draw_sets,
    empirical_risk,
    known_population,
    losses_of,
    risk,
)
from kd_uncertainty.bounds.gaussian_kernels import require_no_buffers
from kd_uncertainty.bounds.langevin_paths import (
    Floats,
    Gradient,
    Networks,
    batches_of,
    function_space,
    langevin_walk,
    spread,
)
from kd_uncertainty.bounds.networks import quantity_rows
from kd_uncertainty.convergence.examples import StudyExamples
from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.population.contract import Build
from kd_uncertainty.population.initialisation import initial_states, reproducible
from kd_uncertainty.population.prediction import predict
from kd_uncertainty.population.seeds import derive_seed

__all__ = ["LangevinBounds", "LangevinBoundsOptions", "LangevinFit", "langevin_bounds"]

_CHUNK = 256  # chains that walk together; memory, not results


class LangevinBounds(NamedTuple):
    """The section's table.

    Attributes:
        table: as that of :class:`~kd_uncertainty.bounds.networks.NetworkBounds`; algorithm_shift is of paths.
    """

    table: pd.DataFrame


def langevin_bounds(
    data: StudyExamples, options: LangevinBoundsOptions, *, confidence: float = 0.95, progress: bool = False
) -> LangevinBounds:
    """Let teachers and students walk on training sets of every size, and set their gaps beside the bounds.

    Args:
        data: the task, all splits.
        options: of the section.
        confidence: of the intervals, over training sets.
        progress: whether to show a bar.

    Raises:
        UserError: if the divergence would be infinite, the network has no kernel with a density, or chains diverge.
    """
    network = options.network
    build = network_builder(network.class_path, network.arguments, data.inputs.shape[1], data.num_classes)
    cells = [(noise, size) for noise in options.label_noise for size in options.num_examples]
    rows: list[dict[str, Any]] = []
    count = sum(3 + min(options.num_replacements, size) for _, size in cells) * options.num_sets * options.num_draws
    with (
        _naming_the_section(),
        tqdm(total=count, desc="bounds: Langevin", unit="chain", disable=not progress) as bar,
    ):
        require_no_buffers(build, network.class_path)
        for noise, size in cells:
            population = known_population(data, noise, options.population_examples)
            found = measure(Chains(build, population, options, bar.update), size)
            place = {"num_examples": size, "label_noise": noise}
            rows += [place | row for row in quantity_rows(found, size, confidence)]
    return LangevinBounds(pd.DataFrame(rows).astype({"inside": "boolean", "inside_true": "boolean"}))


class Walked(NamedTuple):
    """Chains of one algorithm.

    Attributes:
        logits: (sets, draws, points, classes) float32, where they end.
        divergence: (sets, draws) of their paths from the other algorithm's, in nats.
    """

    logits: Floats
    divergence: Floats


class Chains(NamedTuple):
    """The algorithms on one population."""

    build: Build
    population: FinitePopulation
    options: LangevinBoundsOptions
    advance: Callable[[int], Any] = lambda chains: None

    def run(self, sets: TrainingSets, role: Role, noise: str, *, beside: Role | None = None, copies: int = 1) -> Walked:
        """Let ``num_draws`` chains walk on each training set.

        Args:
            sets: the training sets.
            role: whose gradient is followed.
            noise: names the noise: chains on the same set with the same name have the same.
            beside: whose paths theirs are compared with.
            copies: successive sets that share their noise.

        Raises:
            UserError: if chains diverge.
        """
        draws, count = self.options.num_draws, len(sets.points)
        seed = derive_seed(self.options.seed, noise)
        seeds = [derive_seed(seed, row // copies, draw) for row in range(count) for draw in range(draws)]
        rows = np.repeat(np.arange(count), draws)
        logits, divergence = [], []
        for first in range(0, len(rows), _CHUNK):
            some = slice(first, first + _CHUNK)
            ends, apart = self._walk(TrainingSets(*(v[rows[some]] for v in sets)), role, seeds[some], beside)
            logits.append(ends)
            divergence.append(apart)
            self.advance(len(ends))
        joined = torch.cat(logits).numpy()
        if not np.isfinite(joined).all():
            raise UserError(
                f"networks.{role}: chains diverged; set a smaller step_size (now {self.options.step_size:g}) or a "
                f"larger inverse_temperature (now {self.options.inverse_temperature:g})"
            )
        return Walked(joined.reshape(count, draws, *joined.shape[1:]), np.concatenate(divergence).reshape(count, draws))

    def _walk(self, sets: TrainingSets, role: Role, seeds: list[int], beside: Role | None) -> tuple[Tensor, Floats]:
        """Logits (chains, points, classes) and divergences (chains,) of one chain a training set."""
        options, table = self.options, (self.population.inputs, self.population.probabilities.shape[1])
        size = sets.points.shape[1]
        batches = batches_of(derive_seed(options.seed, "order"), size, options.batch_size, options.num_steps)
        device = torch.device("cpu")
        start = initial_states(self.build, [derive_seed(options.seed, "initialisation")], device)
        with reproducible(device):
            networks = Networks.of(self.build, start)

            def gradient_of(name: Role) -> Gradient:
                fit = options.fit(name)
                return networks.gradient(table, sets, batches, fit.temperature, fit.weight_decay)

            flat = torch.cat([values.flatten(1) for values in start.values()], dim=1).repeat(len(seeds), 1)
            walk = langevin_walk(
                flat,
                gradient_of(role),
                options.step_sizes,
                options.inverse_temperature,
                seeds,
                None if beside is None else gradient_of(beside),
            )
            ends = {name: values.contiguous() for name, values in networks.state(walk.ends).items()}
        return predict(self.build, ends, self.population.inputs), walk.divergence


def measure(chains: Chains, num_examples: int) -> Measured:
    """Let teachers walk, label their inputs, let students walk, and measure.

    Pseudo-labels of a set are drawn from its first teacher. Noise of students is not that of teachers, which the
    pseudo-labels tell about; the teacher's algorithm at the pseudo-labelled set has the student's noise.

    Args:
        chains: the algorithms.
        num_examples: n.
    """
    options, population = chains.options, chains.population
    sets = draw_sets(population, options.num_sets, num_examples, derive_seed(options.seed, "sets"))
    logits = chains.run(sets, "teacher", "teacher").logits
    pseudo = pseudo_labelled(logits[:, 0], sets, options.seed)
    students = chains.run(pseudo, "student", "student", beside="teacher")
    imitated = chains.run(pseudo, "teacher", "student").logits
    teacher, student = (losses_of(some, options.loss) for some in (logits, students.logits))
    risk_teacher, risk_student = (risk(losses, population) for losses in (teacher, student))
    gaps = risk_teacher - empirical_risk(teacher, sets)
    points = len(population.inputs)
    kept = min(options.reference_points, points)
    places = np.arange(kept) * points // kept
    return Measured(
        gaps,
        risk_student - empirical_risk(student, pseudo),
        risk_student - empirical_risk(student, sets),
        risk_teacher,
        risk_student,
        *label_shifts(logits, sets, population),
        students.divergence.mean(axis=1),
        function_space(spread(students.logits[:, :, places]), spread(imitated[:, :, places])),
        *_replaced(chains, sets, teacher, gaps),
    )


def _replaced(chains: Chains, sets: TrainingSets, losses: Floats, gaps: Floats) -> tuple[Floats, Floats]:
    """How far mean h and mean loss move when one example is replaced and the noise stays, (sets, replacements) each."""
    options, population = chains.options, chains.population
    copies = min(options.num_replacements, sets.points.shape[1])
    fresh = draw_sets(population, options.num_sets, copies, derive_seed(options.seed, "fresh"))
    changed = with_replacements(sets, fresh, copies)
    other = losses_of(chains.run(changed, "teacher", "teacher", copies=copies).logits, options.loss)
    moved = (risk(other, population) - empirical_risk(other, changed)).mean(axis=1) - gaps.mean(axis=1).repeat(copies)
    apart = other.mean(axis=1) - losses.mean(axis=1).repeat(copies, axis=0)
    shape = options.num_sets, copies
    return np.abs(moved).reshape(shape), np.abs(apart).max(axis=(1, 2)).reshape(shape)


@contextlib.contextmanager
def _naming_the_section() -> Iterator[None]:
    """Within the context, messages tell which options to change: what is shared names the section of networks."""
    try:
        yield
    except UserError as error:
        raise UserError(str(error).replace("networks.", "langevin_bounds.", 1)) from error
