"""Wide residual networks (Zagoruyko & Komodakis 2016, arXiv:1605.07146); WRN40x2 is their WRN-40-2."""

from __future__ import annotations

from functools import partial
from typing import ClassVar

from torch import nn

from kd_uncertainty.networks.images.layers import Layers, Residual, conv, stages
from kd_uncertainty.networks.images.network import Body, ImageNetwork


class _WideResNet(ImageNetwork):
    """Three stages of 16, 32 and 64 channels, widened, of blocks that normalise before each of two convolutions."""

    drops_in_body = True
    depth: ClassVar[int]
    widening: ClassVar[int]

    def make_body(self, layers: Layers, image_channels: int) -> Body:
        """Return all layers but the classifier; the first convolution is not widened."""
        first, channels = layers.channels(16), [layers.channels(self.widening * count) for count in (16, 32, 64)]
        blocks = stages(partial(_block, layers), first, channels, (1, 2, 2), [(self.depth - 4) // 6] * 3)
        last = [layers.norm(channels[-1]), nn.ReLU()]
        return nn.Sequential(conv(image_channels, first), *blocks, *last), channels[-1]


class WRN16x1(_WideResNet):
    """WRN-16-1; 0.18 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    depth, widening = 16, 1


class WRN16x2(_WideResNet):
    """WRN-16-2; 0.70 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    depth, widening = 16, 2


class WRN40x1(_WideResNet):
    """WRN-40-1; 0.57 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    depth, widening = 40, 1


class WRN40x2(_WideResNet):
    """WRN-40-2; 2.26 million parameters for CIFAR-100. See :class:`ImageNetwork` for the arguments."""

    depth, widening = 40, 2


def _block(layers: Layers, inputs: int, outputs: int, stride: int) -> nn.Module:
    """Return a pre-activation block; where the number of channels changes, the shortcut is of the normalised inputs."""
    first = [layers.norm(inputs), nn.ReLU()]
    rest = [conv(inputs, outputs, stride=stride), layers.norm(outputs), nn.ReLU()]
    rest += [*layers.dropout(), conv(outputs, outputs)]
    if inputs == outputs:
        return Residual(nn.Sequential(*first, *rest), nn.Identity(), nn.Identity())
    shortcut = conv(inputs, outputs, 1, stride=stride)
    return nn.Sequential(*first, Residual(nn.Sequential(*rest), shortcut, nn.Identity()))
