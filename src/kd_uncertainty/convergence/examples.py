"""A classification task as the network experiment needs it: all splits, with Bayes probabilities where known."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.tasks.examples import bayes_probabilities, example_tensors
from kd_uncertainty.tasks.options import Split

Floats = NDArray[np.float64]


class StudyExamples(NamedTuple):
    """Examples of all splits, in order of ``example_id``.

    Attributes:
        inputs: (examples, features) float32.
        labels: (examples,) int64; those of the training split with their label noise.
        splits: (examples,) "train", "validation" or "test".
        bayes: (examples, classes), P(label | inputs), or None if unknown.
        num_classes: classes of the task.
    """

    inputs: Tensor
    labels: Tensor
    splits: NDArray[np.object_]
    bayes: Floats | None
    num_classes: int

    def part(self, split: Split) -> StudyExamples:
        """Return the examples of one split."""
        chosen = self.rows(split)
        rows = torch.from_numpy(chosen)
        bayes = None if self.bayes is None else self.bayes[chosen]
        return StudyExamples(self.inputs[rows], self.labels[rows], self.splits[chosen], bayes, self.num_classes)

    def rows(self, split: Split) -> NDArray[np.int64]:
        """Return the positions of the examples of one split."""
        return np.flatnonzero(self.splits == split).astype(np.int64)


def study_examples(examples: pd.DataFrame, num_classes: int) -> StudyExamples:
    """Return the examples table as arrays.

    Args:
        examples: example_id, split, inputs, target and, where known, bayes_probabilities.
        num_classes: classes of the task.
    """
    tensors = example_tensors(examples)
    splits = examples.sort_values("example_id")["split"].to_numpy(object)
    return StudyExamples(tensors.inputs, tensors.labels, splits, bayes_probabilities(examples), num_classes)
