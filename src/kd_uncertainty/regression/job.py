"""The networks of a regression plan as one unit of work, like those of a classification plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from kd_uncertainty.networks import build_network
from kd_uncertainty.population.contract import Loss
from kd_uncertainty.population.job import PopulationJob
from kd_uncertainty.population.targets import deal_draws
from kd_uncertainty.regression.plan import check_draws
from kd_uncertainty.regression.targets import ValueTargets

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ValueJob(PopulationJob):
    """Networks that learn numbers by squared error; everything about targets is scaled to Var(y_train) = 1.

    Attributes:
        labels: (examples, 1) float32, the data's own targets.
        soft_labels: teacher -> (examples, draws) cached posterior draws.
        means: teacher -> (examples,), what noisy responses scatter around.
        whole_plan: linear students included, by which draws are dealt to response seeds.
    """

    means: Mapping[str, Floats] = None  # type: ignore[assignment]
    whole_plan: Any = None
    loss: ClassVar[Loss] = "mse"

    @cached_property
    def value_targets(self) -> ValueTargets:
        """Makes the students' targets."""
        own = self.labels[:, 0].astype(np.float64)
        return ValueTargets(self.means, self.soft_labels, own, 1.0, deal_draws(self.whole_plan))  # type: ignore[arg-type]

    def check(self) -> None:
        """Check, before any work, that the network can be built and the responses suffice.

        Raises:
            UserError: if not.
        """
        build_network(self.network_class, self.network_arguments, self.inputs.shape[1], self.num_classes)
        check_draws(self.whole_plan, {name: draws.shape[1] for name, draws in self.soft_labels.items()})

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        return [*super()._arrays(), *((f"mean {name}", self.means[name]) for name in sorted(self.means))]

    def _targets(self, rows: list[Any]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        keys = [(row.target, row.teacher, row.noise, row.num_responses, row.response_seed) for row in rows]
        first: dict[tuple[Any, ...], int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        tables = np.stack([self.value_targets.target(rows[position]) for position in first.values()])
        number = {key: table for table, key in enumerate(first)}
        return tables.astype(np.float32)[..., None], np.array([number[key] for key in keys], dtype=np.int64)
