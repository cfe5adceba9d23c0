"""Examples as tensors."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.tasks.options import Split


class ExampleTensors(NamedTuple):
    """Rows of the examples table: ``example_ids (n,)``, ``inputs (n, num_inputs)`` float32, ``labels (n,)`` int64."""

    example_ids: NDArray[np.int64]
    inputs: Tensor
    labels: Tensor


def example_tensors(examples: pd.DataFrame, split: Split | None = None) -> ExampleTensors:
    """The examples of one split, or all, in order of ``example_id``."""
    rows = examples if split is None else examples[examples["split"] == split]
    rows = rows.sort_values("example_id")
    inputs = np.stack(rows["inputs"].to_list()).astype(np.float32)
    return ExampleTensors(
        rows["example_id"].to_numpy(np.int64),
        torch.from_numpy(inputs),
        torch.from_numpy(rows["target"].to_numpy(np.int64).copy()),
    )


def bayes_probabilities(examples: pd.DataFrame, split: Split | None = None) -> NDArray[np.float64] | None:
    """P(training label | inputs) of the examples of one split, or all, in order of ``example_id``.

    They include the label noise of the training split, in every split. Whether they are exact or assumed, the task's
    description says (``tasks.tables.prepare_task``).

    Returns:
        (examples, classes), each row of sum 1; None where they are unknown.
    """
    if "bayes_probabilities" not in examples:
        return None
    rows = examples if split is None else examples[examples["split"] == split]
    return np.stack(rows.sort_values("example_id")["bayes_probabilities"].to_list()).astype(np.float64)
