"""Nodes of the responses stage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pyarrow as pa

from kd_uncertainty.device import resolve_device
from kd_uncertainty.options import ExecutionOptions, ResponsesOptions
from kd_uncertainty.soft_labels import pack_tables
from kd_uncertainty.tasks.examples import example_tensors
from kd_uncertainty.teachers import collection


def draw_responses(
    teachers: dict[str, Any],
    examples: pd.DataFrame,
    task: dict[str, Any],
    responses: ResponsesOptions,
    execution: ExecutionOptions,
) -> Iterator[pa.Table]:
    """Posterior logits of every teacher and example; drawn while the dataset writes them, batch by batch.

    A plain function that returns an iterator: Kedro would take a generator function apart and save each of its batches.
    """
    rows, fitted = example_tensors(examples), collection.from_nested(teachers)
    tables = collection.stream_responses(
        fitted,
        rows.example_ids,
        rows.inputs,
        num_draws=responses.num_draws,
        batch_size=responses.batch_size,
        seed=responses.seed,
        classes=task["classes"],
        device=resolve_device(execution.device),
    )
    if responses.encoding == "lists":
        return tables
    return pack_tables(tables, max(teacher.options.cached_draws(responses.num_draws) for teacher in fitted.values()))
