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
