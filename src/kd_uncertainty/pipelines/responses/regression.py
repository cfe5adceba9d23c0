"""Nodes of the responses stage of a regression study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions
from kd_uncertainty.regression.options import ValueResponsesOptions
from kd_uncertainty.regression.teachers import Scale, stream_values, value_tensors
from kd_uncertainty.teachers import collection


def draw_responses(
    teachers: dict[str, Any],
    examples: pd.DataFrame,
    task: dict[str, Any],
    responses: ValueResponsesOptions,
    execution: ExecutionOptions,
) -> Iterator[pa.Table]:
    """Mean and posterior draws of every teacher and example, drawn while the dataset writes them."""
    return stream_values(
        collection.from_nested(teachers),
        value_tensors(examples),
        Scale.of(task),
        num_draws=responses.num_draws,
        batch_size=responses.batch_size,
        seed=responses.seed,
        device=resolve_device(execution.device),
    )
