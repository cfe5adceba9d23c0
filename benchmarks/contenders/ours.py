"""Our own engine, through its public function."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.problems import Problem
from kd_uncertainty.networks import MLP
from kd_uncertainty.population.contract import Cohort
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import train as train_population


def train(
    problem: Problem, students: Sequence[int], seed: int, threads: int, backend: str, chunk_size: int = 32
) -> NDArray[np.float64]:
    """Train with one of the engine's backends; see ``contenders``."""
    torch.set_num_threads(threads)

    def build() -> MLP:
        return MLP(problem.widths[0], problem.widths[-1], hidden=problem.hidden)

    count = len(students)
    seeds = tuple(1_000_000 * seed + student for student in students)
    cohort = Cohort(
        torch.from_numpy(problem.targets),
        torch.full((count,), problem.mixing),
        torch.full((count,), problem.temperature),
        seeds,
        seeds,
        tables=torch.tensor([student % len(problem.targets) for student in students]),
        loss=problem.loss,
    )
    options = TrainingOptions(epochs=problem.epochs, batch_size=problem.batch_size, learning_rate=problem.learning_rate)
    inputs, labels = torch.from_numpy(problem.inputs), torch.from_numpy(problem.labels)
    trained = train_population(
        build, inputs, labels, cohort, options, backend=backend, threads=threads, chunk_size=chunk_size
    )
    losses: NDArray[np.float64] = trained.losses[:, -1].double().numpy()
    return losses
