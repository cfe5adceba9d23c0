"""What networks of images are made of: convolutions, normalisation and dropout, by a network's arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

Normalisation = Literal["batch", "group"]

_GROUP = 16
"""Channels that group normalisation treats together: the best number in Wu & He (2018), table 3. Where it does not
divide a layer's channels, the next larger one that does: a single channel of a single pixel would have no variance."""


@dataclass(frozen=True)
class Layers:
    """Makes the layers of a network.

    Attributes:
        width: multiplies channels.
        rate: probability of dropping what a dropout layer is given.
        normalisation: "batch" or "group".

    Raises:
        ValueError: if an attribute is of another kind.
    """

    width: float
    rate: float
    normalisation: Normalisation

    def __post_init__(self) -> None:
        if not _is_number(self.width) or not 0.0 < self.width < math.inf:
            raise ValueError(f"width must be a positive number, not {self.width!r}")
        if not _is_number(self.rate) or not 0.0 <= self.rate < 1.0:
            raise ValueError(f"dropout must be a number from 0 to below 1, not {self.rate!r}")
        if self.normalisation not in ("batch", "group"):
            raise ValueError(f"normalisation must be batch or group, not {self.normalisation!r}")

    def channels(self, published: int) -> int:
        """Return how many channels a layer has at this width, one at least."""
        return max(1, round(self.width * published))

    def norm(self, channels: int) -> nn.Module:
        """Return the normalisation of so many channels: a scale and a shift for each."""
        if self.normalisation == "batch":
            return nn.BatchNorm2d(channels)
        group = next((size for size in range(_GROUP, channels) if channels % size == 0), channels)
        return nn.GroupNorm(channels // group, channels)

    def conv_norm(
        self, inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> list[nn.Module]:
        """Return a convolution and the normalisation of what comes out."""
        return [conv(inputs, outputs, size, stride=stride, groups=groups, bias=bias), self.norm(outputs)]

    def conv_norm_relu(
        self, inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = False
    ) -> list[nn.Module]:
        """Return a convolution, its normalisation, and what is positive of that."""
        return [*self.conv_norm(inputs, outputs, size, stride=stride, groups=groups, bias=bias), nn.ReLU()]

    def dropout(self) -> list[nn.Module]:
        """Return a dropout layer, or nothing if nothing is dropped."""
        return [nn.Dropout(self.rate)] if self.rate else []


class Residual(nn.Module):
    """Inputs, by way of a shortcut, plus what the body makes of them: ``last(shortcut(inputs) + body(inputs))``."""

    def __init__(self, body: nn.Module, shortcut: nn.Module, last: nn.Module) -> None:
        super().__init__()
        self.body, self.shortcut, self.last = body, shortcut, last

    def forward(self, inputs: Tensor) -> Tensor:
        """Return outputs of the shape of both parts."""
        outputs: Tensor = self.last(self.shortcut(inputs) + self.body(inputs))
        return outputs


def conv(
    inputs: int, outputs: int, size: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = False
) -> nn.Conv2d:
    """Return a convolution that keeps height and width, divided by the stride."""
    return nn.Conv2d(inputs, outputs, size, stride=stride, padding=size // 2, groups=groups, bias=bias)


def stages(
    block: Callable[[int, int, int], nn.Module],
    inputs: int,
    channels: Sequence[int],
    strides: Sequence[int],
    blocks: Sequence[int],
) -> list[nn.Module]:
    """Return the blocks of all stages; the first of a stage takes its stride and its new number of channels.

    Args:
        block: makes one, from its input channels, output channels and stride.
        inputs: channels before the first stage.
        channels: of each stage.
        strides: of each stage.
        blocks: in each stage.
    """
    layers = []
    for outputs, stride, count in zip(channels, strides, blocks, strict=True):
        for position in range(count):
            layers.append(block(inputs, outputs, 1 if position else stride))
            inputs = outputs
    return layers


def initialise_as_he(network: nn.Module) -> None:
    """Draw the weights of convolutions from N(0, 2 / fan_out), and set their biases to 0 (He et al. 2015).

    ``fan_out = k^2 out`` for ``out`` channels of k x k kernels.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
