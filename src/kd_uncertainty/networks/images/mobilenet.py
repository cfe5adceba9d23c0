"""MobileNetV2 (Sandler et al. 2018, arXiv:1801.04381), in the form of CIFAR."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Literal

from torch import nn

from kd_uncertainty.networks.images.layers import Layers, Residual, stages
from kd_uncertainty.networks.images.network import Body, ImageNetwork

_CHANNELS, _STRIDES, _BLOCKS = (24, 32, 64, 96, 160, 320), (1, 2, 2, 1, 2, 1), (2, 3, 4, 3, 3, 1)
"""Table 2 of the paper from its third row on, whose stride is 1 in place of 2."""
_EXPANSION = 6
_LAST = 1280


class MobileNetV2(ImageNetwork):
    """Inverted residuals; 0.81 million parameters for CIFAR-100 at half width, the form of studies of distillation.

    The last convolution has 1280 channels at widths up to 1, as in the paper; ReLU takes the place of ReLU6, and the
    block with expansion 1 keeps its first convolution. See :class:`ImageNetwork` for the arguments.
    """

    head_std = 0.01

    def __init__(
        self,
        num_inputs: int,
        num_classes: int,
        image_shape: Sequence[int] | None = None,
        width: float = 0.5,
        dropout: float = 0.0,
        normalisation: Literal["batch", "group"] = "batch",
    ) -> None:
        super().__init__(num_inputs, num_classes, image_shape, width, dropout, normalisation)

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return all layers but the classifier."""
        first, second, *channels = (layers.channels(count) for count in (32, 16, *_CHANNELS))
        last = max(_LAST, layers.channels(_LAST))
        body = [
            *layers.conv_norm_relu(image_channels, first, stride=2),
            _block(layers, 1, first, second, 1),
            *stages(partial(_block, layers, _EXPANSION), second, channels, _STRIDES, _BLOCKS),
            *layers.conv_norm_relu(channels[-1], last, 1),
        ]
        return nn.Sequential(*body), last


def _block(layers: Layers, expansion: int, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return an inverted residual: more channels, a convolution of each alone, and fewer again, without a ReLU."""
    inner = expansion * inputs
    body = nn.Sequential(
        *layers.conv_norm_relu(inputs, inner, 1),
        *layers.conv_norm_relu(inner, inner, stride=stride, groups=inner),
        *layers.conv_norm(inner, outputs, 1),
    )
    return Residual(body, nn.Identity(), nn.Identity()) if stride == 1 and inputs == outputs else body
