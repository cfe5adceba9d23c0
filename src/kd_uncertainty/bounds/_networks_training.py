"""Where training ends on many training sets: populations of the engine from one start, with one order of batches."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from kd_uncertainty.bounds._networks_options import NetworkBoundsOptions
from kd_uncertainty.bounds.finite_population import TrainingSets
from kd_uncertainty.errors import UserError
from kd_uncertainty.population.contract import Build, Cohort, State
from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.population.training import naming_the_network, train

_CHUNK = 256  # networks trained at once; memory, not results

Role = Literal["teacher", "student"]


class Minimisers(NamedTuple):
    """A learning algorithm without its noise: from training sets to parameters.

    Attributes:
        build: builds one network.
        inputs: (points, features), of the population.
        num_classes: of the task.
        options: of the section.
        threads: over networks; no result depends on them.
        advance: told of the networks that were trained.
    """

    build: Build
    inputs: Tensor
    num_classes: int
    options: NetworkBoundsOptions
    threads: int = 1
    advance: Callable[[int], None] = lambda networks: None

    def fit(self, sets: TrainingSets, role: Role) -> State:
        """Train one network on each training set and return their parameters, stacked (sets, ...).

        An input may be in a training set twice with different labels, so what is trained on are rows of the table of
        all pairs of an input and a label.

        Args:
            sets: the training sets.
            role: whose training options are used.

        Raises:
            UserError: if training diverges or the network fails.
        """
        count, classes = len(sets.points), self.num_classes
        training = getattr(self.options, role).training
        labels = torch.arange(classes).repeat(len(self.inputs))
        cohort = Cohort(
            one_hot(labels, classes).float().unsqueeze(0),
            torch.zeros(count),
            torch.ones(count),
            (derive_seed(self.options.seed, "initialisation"),) * count,
            (derive_seed(self.options.seed, "order"),) * count,
            tables=torch.zeros(count, dtype=torch.int64),
            rows=torch.from_numpy(sets.points * classes + sets.labels),
        )
        pairs = self.inputs.repeat_interleave(classes, dim=0)
        with (
            _naming_the_section(role),
            naming_the_network(self.options.network.class_path, f"networks.{role}", cohort.num_rows, training),
        ):
            trained = train(self.build, pairs, labels, cohort, training, threads=self.threads, chunk_size=_CHUNK)
        self.advance(count)
        return trained.parameters


def with_replacements(sets: TrainingSets, fresh: TrainingSets, num_replacements: int) -> TrainingSets:
    """Return every training set with one example replaced, as often as asked, (sets * replacements, n).

    Replacement j of a set puts its own j-th fresh example at the j-th of evenly spread places.

    Args:
        sets: the training sets.
        fresh: as many sets of at least so many independent examples.
        num_replacements: of each set.
    """
    count, size = sets.points.shape
    points, labels = (np.repeat(values, num_replacements, axis=0) for values in sets)
    rows = np.arange(count * num_replacements)
    places = np.tile(np.arange(num_replacements) * size // num_replacements, count)
    points[rows, places] = fresh.points[:, :num_replacements].ravel()
    labels[rows, places] = fresh.labels[:, :num_replacements].ravel()
    return TrainingSets(points, labels)


@contextlib.contextmanager
def _naming_the_section(role: Role) -> Iterator[None]:
    """Within the context, messages of the engine tell which options to change: its networks are this section's."""
    try:
        yield
    except UserError as error:
        text = str(error).replace("a smaller students.training", f"a smaller networks.{role}.training")
        raise UserError(f"networks: {text}") from error
