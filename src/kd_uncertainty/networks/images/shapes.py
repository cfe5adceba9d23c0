"""Rows of numbers as images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

Shape = tuple[int, int, int]
"""Channels, height and width of an image."""


def image_shape_of(num_inputs: int, image_shape: Any = None) -> Shape:
    """Return the shape of an image of ``num_inputs`` numbers, and check that it has as many.

    Without a shape the image is square, of one channel or of three. At most one of the two fits, since no square is
    three times another.

    Args:
        num_inputs: numbers of an example.
        image_shape: channels, height and width, or None.

    Raises:
        ValueError: if it is no such shape, has another number of numbers, or is not given and cannot be told.
    """
    if image_shape is None:
        for channels in (1, 3):
            side = math.isqrt(num_inputs // channels)
            if side and channels * side**2 == num_inputs:
                return channels, side, side
        raise ValueError(
            f"{num_inputs} inputs are no square image of one channel or of three; give image_shape: [channels, height, "
            "width]"
        )
    shape = _checked(image_shape)
    if math.prod(shape) != num_inputs:
        raise ValueError(
            f"image_shape {list(shape)} has {math.prod(shape)} numbers and an example {num_inputs}; give image_shape: "
            "[channels, height, width] of the task's images"
        )
    return shape


def inputs_to_try(arguments: Mapping[str, Any]) -> int:
    """Return a number of inputs that fits ``image_shape`` among a network's arguments; without one, that of CIFAR."""
    image_shape = arguments.get("image_shape")
    return 3 * 32 * 32 if image_shape is None else math.prod(_checked(image_shape))


def as_images(inputs: Tensor, shape: Shape) -> Tensor:
    """Return rows (examples, channels height width), each channel row by row, as (examples, channels, height, width).

    Images pass as they are.
    """
    return inputs.reshape(-1, *shape) if inputs.dim() == 2 else inputs


def _checked(image_shape: Any) -> Shape:
    sizes: list[Any] = list(image_shape) if isinstance(image_shape, Sequence) and len(image_shape) == 3 else []
    if not sizes or any(not isinstance(size, int | np.integer) or isinstance(size, bool) or size < 1 for size in sizes):
        raise ValueError(f"image_shape must be three positive integers, [channels, height, width], not {image_shape!r}")
    channels, height, width = (int(size) for size in sizes)
    return channels, height, width
