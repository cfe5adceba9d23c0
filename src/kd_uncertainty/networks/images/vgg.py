"""Networks of 3 x 3 convolutions alone (Simonyan & Zisserman 2015, arXiv:1409.1556), in the form of CIFAR.

With batch normalisation, three halvings by pooling, and one linear layer after the mean over positions in place of
three. VGG13 is configuration B; VGG8, which studies of distillation add, has one convolution at each size.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

from torch import nn

from kd_uncertainty.networks.images.layers import Layers
from kd_uncertainty.networks.images.network import Body, ImageNetwork


class _VGG(ImageNetwork):
    """Five stages of convolutions, with pooling after each of the first three."""

    smallest_side = 8
    head_std = 0.01
    convolutions: ClassVar[tuple[int, int, int, int, int]]

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return all layers but the classifier; convolutions have biases, as published."""
        channels = [layers.channels(count) for count in (64, 128, 256, 512, 512)]
        body: list[nn.Module] = []
        for stage, (inputs, outputs) in enumerate(pairwise((image_channels, *channels))):
            for position in range(self.convolutions[stage]):
                body += layers.conv_norm_relu(outputs if position else inputs, outputs, bias=True)
            body += [nn.MaxPool2d(2)] if stage < 3 else []
        return nn.Sequential(*body), channels[-1]


class VGG8(_VGG):
    """5 convolutions; 3.97 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    convolutions = (1, 1, 1, 1, 1)


class VGG13(_VGG):
    """10 convolutions; 9.46 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    convolutions = (2, 2, 2, 2, 2)
