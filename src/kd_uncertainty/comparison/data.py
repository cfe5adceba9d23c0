"""What the comparison needs of a task, and of a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from kd_uncertainty.tasks.examples import ExampleTensors, bayes_probabilities, example_tensors
from kd_uncertainty.tasks.options import SPLITS, Split

Floats = NDArray[np.float64]
EVALUATED: tuple[Literal["validation", "test"], ...] = ("validation", "test")
"""The splits on which students and teachers are measured."""


class ComparisonData(NamedTuple):
    """A task by split, each in the order of ``example_id``.

    Attributes:
        train: what teachers and students learn from.
        validation: what choices are made on.
        test: what is only reported.
        bayes: by split (examples, classes), P(label | inputs) of training labels as they are drawn, noise included;
            empty where it is unknown.
        num_classes: of the task.
    """

    train: ExampleTensors
    validation: ExampleTensors
    test: ExampleTensors
    bayes: Mapping[str, Floats]
    num_classes: int

    @property
    def inputs(self) -> Tensor:
        """Inputs of all splits, one after another, (examples, features)."""
        return torch.cat([self.train.inputs, self.validation.inputs, self.test.inputs])

    def split_of(self, values: NDArray[np.floating], split: str) -> NDArray[np.floating]:
        """Return the rows of one split out of values (all examples, ...) in the order of :attr:`inputs`."""
        sizes = np.cumsum([len(self.train.labels), len(self.validation.labels)])
        parts: list[NDArray[np.floating]] = np.split(values, sizes)
        return parts[SPLITS.index(split)]

    def labels_of(self, split: str) -> NDArray[np.int64]:
        """Return the labels of one split, (examples,)."""
        tensors: ExampleTensors = getattr(self, split)
        return np.asarray(tensors.labels.numpy())


class Candidate(NamedTuple):
    """A fitted teacher as the comparison sees it.

    Attributes:
        name: as configured.
        kind: of the teacher.
        distinct_draws: how many its posterior has; None if there is no end of them.
        cross_fitted: whether it never labels an example that it was fitted on.
        answers: from a number of draws to posterior logits (all examples, draws, classes), examples in the order of
            ``ComparisonData.inputs``.
    """

    name: str
    kind: str
    distinct_draws: int | None
    cross_fitted: bool
    answers: Callable[[int], NDArray[np.floating]]


def comparison_data(examples: pd.DataFrame, num_classes: int) -> ComparisonData:
    """Return the task of a table of examples; Bayes probabilities are there if the table has them."""
    bayes: dict[str, Floats] = {}
    everything: tuple[Split, ...] = ("train", *EVALUATED)
    for split in everything:
        known = bayes_probabilities(examples, split)
        if known is not None:
            bayes[split] = known
    return ComparisonData(
        example_tensors(examples, "train"),
        example_tensors(examples, "validation"),
        example_tensors(examples, "test"),
        bayes,
        num_classes,
    )
