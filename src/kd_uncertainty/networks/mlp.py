"""The multilayer perceptron: Linear and ReLU layers, with dropout where asked."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


class MLP(nn.Sequential):
    """Map ``(examples, num_inputs)`` to logits ``(examples, num_classes)`` through ReLU layers of the given widths.

    Args:
        num_inputs: features of an example.
        num_classes: logits of an example.
        hidden: width of each hidden layer, in order; empty is logistic regression.
        dropout: probability of dropping a hidden unit; 0 builds no dropout layer at all.
    """

    def __init__(self, num_inputs: int, num_classes: int, hidden: Sequence[int] = (32,), dropout: float = 0.0) -> None:
        layers: list[nn.Module] = []
        width = num_inputs
        for hidden_width in hidden:
            layers += [nn.Linear(width, hidden_width), nn.ReLU()]
            if dropout > 0:
                layers.append(nn.Dropout(dropout))
            width = hidden_width
        super().__init__(*layers, nn.Linear(width, num_classes))
