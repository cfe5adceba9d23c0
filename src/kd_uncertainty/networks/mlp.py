"""The multilayer perceptron: Linear and ReLU layers, with dropout where asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn


class MLP(nn.Sequential):
    """Map ``(examples, num_inputs)`` to logits ``(examples, num_classes)`` through ReLU layers of the given widths.

    Args:
        num_inputs: features of an example.
        num_classes: logits of an example.
        hidden: width of each hidden layer, in order; empty is logistic regression.
        dropout: probability of dropping a hidden unit; 0 builds no dropout layer at all.

    Raises:
        ValueError: if a hidden width is not a positive integer, or dropout is not a number in [0, 1).
    """

    def __init__(self, num_inputs: int, num_classes: int, hidden: Sequence[int] = (32,), dropout: float = 0.0) -> None:
        _check(hidden, dropout)
        layers: list[nn.Module] = []
        width = num_inputs
        for hidden_width in hidden:
            layers += [nn.Linear(width, hidden_width), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = hidden_width
        super().__init__(*layers, nn.Linear(width, num_classes))


def _check(hidden: Any, dropout: Any) -> None:
    widths: list[Any] = list(hidden) if isinstance(hidden, Sequence) and not isinstance(hidden, str) else [None]
    if not all(isinstance(width, int | np.integer) and not isinstance(width, bool) and width > 0 for width in widths):
        raise ValueError(f"hidden must be a list of positive integers, the widths of the hidden layers, not {hidden!r}")
    if not isinstance(dropout, int | float) or isinstance(dropout, bool) or not 0.0 <= dropout < 1.0:
        raise ValueError(f"dropout must be a number from 0 to below 1, not {dropout!r}")
