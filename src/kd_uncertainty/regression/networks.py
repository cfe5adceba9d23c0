"""Populations of networks on a regression task, through the population engine; targets and predictions unscaled."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from kd_uncertainty.errors import UserError
from kd_uncertainty.networks import network_builder
from kd_uncertainty.networks.options import NetworkOptions
from kd_uncertainty.population.contract import Build, Cohort, State
from kd_uncertainty.population.options import TrainingOptions
from kd_uncertainty.population.training import naming_the_network, predict, train
from kd_uncertainty.regression.data import Floats, RegressionData
from kd_uncertainty.typed import Options

_CHUNK = 512


class NetworkFit(Options):
    """A network and how it is trained; by default as in the paper's section 4 (arXiv 2601.18909)."""

    network: NetworkOptions = NetworkOptions(class_path="kd_uncertainty.networks.MLP", arguments={"hidden": [16]})
    training: TrainingOptions = TrainingOptions(epochs=200, batch_size=1_000_000, learning_rate=0.01)


class StudentSeeds(NamedTuple):
    """What sets students apart, one number each.

    Attributes:
        initialisation: seeds of the initial parameters.
        order: seeds of the batch orders; without effect where a batch holds all examples.
        tables: the row of ``targets`` that each student learns.
    """

    initialisation: tuple[int, ...]
    order: tuple[int, ...]
    tables: tuple[int, ...]


class Networks(NamedTuple):
    """Trained networks that answer in the source's units.

    Attributes:
        parameters: stacked (students, ...), of networks on scaled targets.
        losses: (students, epochs) mean squared errors on scaled targets.
        build: builds one network.
        data: the task that they were trained on.
    """

    parameters: State
    losses: torch.Tensor
    build: Build
    data: RegressionData

    def predict(self, inputs: Floats) -> Floats:
        """Return predictions (students, points) at inputs (points, features), in the source's units."""
        outputs = predict(self.build, self.parameters, torch.from_numpy(inputs.astype(np.float32)))
        return self.data.unscaled(outputs[..., 0].double().numpy())


def network_build(data: RegressionData, fit: NetworkFit) -> Build:
    """Return what builds one of the task's networks, with a single output."""
    return network_builder(fit.network.class_path, fit.network.arguments, data.train_inputs.shape[1], 1)


def train_networks(
    data: RegressionData,
    targets: Floats,
    fit: NetworkFit,
    seeds: StudentSeeds,
    *,
    rows: NDArray[np.int64] | None = None,
    initial: State | None = None,
    threads: int = 1,
    progress: Callable[[int], object] | None = None,
) -> Networks:
    """Train students by mean squared error on their row of ``targets``.

    Args:
        data: the task.
        targets: (tables, examples) in the source's units.
        fit: the network and its training.
        seeds: of the students.
        rows: (students, m) training rows of each student, a bootstrap resample; all rows once if left out.
        initial: stacked parameters to start from instead of the initialisation seeds' own.
        threads: threads over students; no result depends on them.
        progress: called with the number of students that finished since the last call.

    Raises:
        UserError: if a student's training diverges, or the network fails.
    """
    build = network_build(data, fit)
    count = len(seeds.tables)
    cohort = Cohort(
        torch.from_numpy(data.scaled(targets).astype(np.float32))[..., None],
        torch.ones(count),
        torch.ones(count),
        seeds.initialisation,
        seeds.order,
        tables=torch.tensor(seeds.tables, dtype=torch.int64),
        loss="mse",
        rows=None if rows is None else torch.from_numpy(rows),
    )
    epochs = fit.training.epochs
    done = [0, 0]

    def on_epoch(student_epochs: int) -> None:
        done[0] += student_epochs
        if progress is not None and done[0] // epochs > done[1]:
            progress(done[0] // epochs - done[1])
            done[1] = done[0] // epochs

    inputs = torch.from_numpy(data.train_inputs.astype(np.float32))
    labels = torch.from_numpy(data.scaled(data.train_targets).astype(np.float32))[:, None]
    with _in_a_section(), naming_the_network(fit.network.class_path, "students", len(labels), fit.training):
        trained = train(
            build,
            inputs,
            labels,
            cohort,
            fit.training,
            initial=initial,
            threads=threads,
            chunk_size=_CHUNK,
            on_epoch=on_epoch,
        )
    return Networks(trained.parameters, trained.losses, build, data)


@contextlib.contextmanager
def _in_a_section() -> Iterator[None]:
    """Say of a diverging network which training to change: not that of the chain's students."""
    try:
        yield
    except UserError as error:
        mend = str(error).replace("students.training.learning_rate", "training.learning_rate of this section's network")
        raise UserError(mend) from error
