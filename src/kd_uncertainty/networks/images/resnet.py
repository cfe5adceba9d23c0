"""Residual networks (He et al. 2016, "Deep Residual Learning for Image Recognition", arXiv:1512.03385).

ResNet-8 to 56 are the small form of their section 4.2: three stages of 16, 32 and 64 channels. ResNet-18 to 101 are
their networks for ImageNet, of four stages, whose first layers, a 7 x 7 convolution and a pooling that leave a quarter
of an image's side, are replaced by one 3 x 3 convolution with stride 1. Where a stage changes size, the shortcut is a
1 x 1 convolution with normalisation (their option B), as studies of distillation have it.
"""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from torch import nn

from kd_uncertainty.networks.images.layers import Layers, Residual, stages
from kd_uncertainty.networks.images.network import Body, ImageNetwork

_EXPANSION = 4  # output channels of a bottleneck for each of its 3 x 3 convolution's


class _SmallResNet(ImageNetwork):
    """Three stages of as many basic blocks each, two layers in a block."""

    blocks_a_stage: ClassVar[int]

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return all layers but the classifier."""
        channels = [layers.channels(count) for count in (16, 32, 64)]
        blocks = stages(partial(_basic, layers), channels[0], channels, (1, 2, 2), [self.blocks_a_stage] * 3)
        return nn.Sequential(*layers.conv_norm_relu(image_channels, channels[0]), *blocks), channels[-1]


class _LargeResNet(ImageNetwork):
    """Four stages of basic blocks, two layers in a block, or of bottlenecks, three layers in a block."""

    blocks: ClassVar[tuple[int, int, int, int]]
    bottlenecks: ClassVar[bool] = False

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return all layers but the classifier."""
        channels = [layers.channels(count) for count in (64, 128, 256, 512)]
        first, block = channels[0], _bottleneck if self.bottlenecks else _basic
        if self.bottlenecks:
            channels = [_EXPANSION * count for count in channels]
        blocks = stages(partial(block, layers), first, channels, (1, 2, 2, 2), self.blocks)
        return nn.Sequential(*layers.conv_norm_relu(image_channels, first), *blocks), channels[-1]


class ResNet8(_SmallResNet):
    """8 layers; 0.08 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks_a_stage = 1


class ResNet20(_SmallResNet):
    """20 layers; 0.28 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks_a_stage = 3


class ResNet32(_SmallResNet):
    """32 layers; 0.47 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks_a_stage = 5


class ResNet56(_SmallResNet):
    """56 layers; 0.86 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks_a_stage = 9


class ResNet18(_LargeResNet):
    """18 layers; 11.22 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks = (2, 2, 2, 2)


class ResNet34(_LargeResNet):
    """34 layers; 21.33 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks = (3, 4, 6, 3)


class ResNet50(_LargeResNet):
    """50 layers; 23.71 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks = (3, 4, 6, 3)
    bottlenecks = True


class ResNet101(_LargeResNet):
    """101 layers; 42.70 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    blocks = (3, 4, 23, 3)
    bottlenecks = True


def _basic(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module:
    body = [*layers.conv_norm_relu(inputs, outputs, stride=stride), *layers.conv_norm(outputs, outputs)]
    return Residual(nn.Sequential(*body), _shortcut(layers, inputs, outputs, stride), nn.ReLU())


def _bottleneck(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module:
    inner = outputs // _EXPANSION
    body = [
        *layers.conv_norm_relu(inputs, inner, 1),
        *layers.conv_norm_relu(inner, inner, stride=stride),
        *layers.conv_norm(inner, outputs, 1),
    ]
    return Residual(nn.Sequential(*body), _shortcut(layers, inputs, outputs, stride), nn.ReLU())


def _shortcut(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module:
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    return nn.Sequential(*layers.conv_norm(inputs, outputs, 1, stride=stride))
