"""Random crops and flips of images as a pure function of the student's seed, the epoch and the example.

Word ``w`` of stream ``(epoch << 32) | example`` under the student's seed decides (see ``counter``): the crop's row, its
column, and the flip. So an image is seen alike alone and among others, in any batch, on any device.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor

from kd_uncertainty.population.counter import AUGMENTATION, philox_words_torch
from kd_uncertainty.typed import Options


class AugmentationOptions(Options):
    """How training images vary: ``pad`` zeros on each side before a random crop, and whether half are mirrored."""

    pad: Annotated[int, Field(ge=0, le=64)] = 4
    flip: bool = True


def draw_views(seeds: Tensor, epoch: int, examples: Tensor, options: AugmentationOptions) -> tuple[Tensor, Tensor]:
    """Draw the crop's corner and the flip of each image.

    A corner is ``floor(word (2 pad + 1) / 2^32)``, uniform up to ``2^-25``; a flip is the word's highest bit.

    Args:
        seeds: (...) int64, the students' seeds.
        epoch: from 0, below 2^31.
        examples: (..., batch) int64, ids below 2^32, or what broadcasts with the seeds and a batch axis.
        options: the padding and whether to flip.

    Returns:
        Corners (..., batch, 2) int64 from 0 to 2 pad, as row and column, and flips (..., batch) bool.
    """
    words = philox_words_torch(seeds.unsqueeze(-1), (epoch << 32) | examples, AUGMENTATION, 3)
    corners = (words[..., :2] * (2 * options.pad + 1)) >> 32
    flips = (words[..., 2] >> 31).bool() & options.flip
    return corners, flips


def augment(images: Tensor, corners: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Pad by zeros, crop to the size before, and mirror: one gather for all images.

    Args:
        images: (..., channels, height, width).
        corners: (..., 2), from 0 to 2 pad; ``pad`` leaves the image where it is.
        flips: (...) bool, mirrored after the crop.
        pad: pixels on each side.

    Returns:
        Images of the same shape. Pixel (i, j) is pixel (i + row - pad, j' + column - pad) of the image, zero outside,
        where j' is j, or width - 1 - j if flipped.
    """
    height, width = images.shape[-2:]
    across = torch.arange(width, device=images.device)
    across = torch.where(flips.unsqueeze(-1), width - 1 - across, across) + corners[..., 1:] - pad
    down = torch.arange(height, device=images.device) + corners[..., :1] - pad
    inside = ((down >= 0) & (down < height)).unsqueeze(-1) & ((across >= 0) & (across < width)).unsqueeze(-2)
    pixels = down.clamp(0, height - 1).unsqueeze(-1) * width + across.clamp(0, width - 1).unsqueeze(-2)
    index = pixels.flatten(-2).unsqueeze(-2).expand(*images.shape[:-2], height * width)
    moved = images.flatten(-2).gather(-1, index).view(images.shape)
    return moved.masked_fill(~inside.unsqueeze(-3), 0.0)


def normalise(images: Tensor, mean: Tensor, deviation: Tensor) -> Tensor:
    """Return ``(images - mean) / deviation``, with mean and deviation (channels,) of (..., channels, height, width)."""
    return (images - mean[:, None, None]) / deviation[:, None, None]
