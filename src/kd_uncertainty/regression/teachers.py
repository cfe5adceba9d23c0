"""Teachers of a regression task: fitted on scaled targets, asked in the units of the source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.population.seeds import derive_seed
from kd_uncertainty.regression.responses import Floats, ValueResponses, value_schema, value_table
from kd_uncertainty.soft_labels.table import batches
from kd_uncertainty.teachers.collection import posterior_logits, posterior_mean, teacher_facts
from kd_uncertainty.teachers.contract import Teacher


class Scale(NamedTuple):
    """How targets are scaled for networks: mean and standard deviation (ddof 0) of the training targets."""

    mean: float
    std: float

    @classmethod
    def of(cls, task: Mapping[str, Any]) -> Scale:
        """Read it off the task's description."""
        return cls(task["target_mean"], task["target_std"])

    def scaled(self, targets: Floats) -> Floats:
        """From the source's units to mean 0, variance 1."""
        return (targets - self.mean) / self.std

    def unscaled(self, values: Floats) -> Floats:
        """The inverse."""
        return values * self.std + self.mean


class ValueTensors(NamedTuple):
    """Rows of the examples table: identifiers, inputs (n, num_inputs) float32, targets (n,) in the source's units."""

    example_ids: NDArray[np.int64]
    inputs: Tensor
    targets: Floats


def value_tensors(examples: pd.DataFrame, split: str | None = None) -> ValueTensors:
    """The examples of one split, or all, in order of ``example_id``."""
    rows = examples if split is None else examples[examples["split"] == split]
    rows = rows.sort_values("example_id")
    return ValueTensors(
        rows["example_id"].to_numpy(np.int64),
        torch.from_numpy(np.stack(rows["inputs"].to_list()).astype(np.float32)),
        rows["target"].to_numpy(np.float64),
    )


def stream_values(
    teachers: Mapping[str, Teacher],
    rows: ValueTensors,
    scale: Scale,
    *,
    num_draws: int,
    batch_size: int,
    seed: int,
    device: torch.device,
) -> Iterator[pa.Table]:
    """Mean and posterior draws of every teacher and example, a table for each batch of examples; bounded memory.

    No draw is cached twice: a point posterior gives one, an ensemble at most one for each member.
    """
    draws = {name: teacher.options.cached_draws(num_draws) for name, teacher in teachers.items()}
    facts = {name: teacher_facts(teacher, draws[name]) for name, teacher in teachers.items()}
    schema = value_schema({"seed": seed, "teachers": facts})
    for name, teacher in teachers.items():
        there = replace(teacher, parameters={key: value.to(device) for key, value in teacher.parameters.items()})
        stream = derive_seed(seed, "responses", name)
        for batch in batches(rows.example_ids, batch_size):
            inputs, ids = rows.inputs[batch].to(device), rows.example_ids[batch]
            drawn = posterior_logits(there, inputs, range(draws[name]), stream, ids)[..., 0].cpu().double().numpy()
            mean = posterior_mean(there, inputs, ids)
            means = drawn.mean(0) if mean is None else mean[:, 0].cpu().double().numpy()
            yield value_table(name, ids, scale.unscaled(means), scale.unscaled(drawn), schema)


def scaled_responses(responses: ValueResponses, scale: Scale) -> ValueResponses:
    """Responses as networks learn them."""
    return ValueResponses(
        responses.example_ids,
        {name: scale.scaled(values) for name, values in responses.means.items()},
        {name: scale.scaled(values) for name, values in responses.draws.items()},
    )
